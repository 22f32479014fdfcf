/* Annotation: retrievers and answerers of a project compared: measures with their intervals, and items side by side. */
(() => {
  "use strict";
  const { ask } = window.citesight.server;
  const { h, button, field, problem, table, counted, shortened } = window.citesight.draw;

  /* With how many items it is over, which differs by measure. */
  const figure = ({ value, low, high, items }) => (value === null ? "– (no item)" : `${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}), ${counted(items, "item")}`);

  /* A fold that is filled when it is opened first. */
  function compare(name) {
    const box = h("div", { class: "ca-list" });
    const fold = h("details", { class: "ca-panel" }, h("summary", {}, "Compare retrievers and answerers"), box);
    fold.addEventListener("toggle", async () => {
      if (!fold.open || box.firstChild) return;
      box.replaceChildren(h("p", { class: "ca-faint" }, "Measuring …"));
      try {
        const found = await ask("measures", { project: name });
        box.replaceChildren(...measures(found), ...beside(name, found));
      } catch (refused) {
        const again = button("Try again", () => (box.replaceChildren(), fold.dispatchEvent(new Event("toggle"))));
        box.replaceChildren(problem(refused.message), h("div", { class: "ca-row" }, again));
      }
    });
    return fold;
  }

  function measures(found) {
    const names = Object.keys(found.rankings);
    const about = `By ${counted(found.judged, "item")} with judgments; ${counted(found.unjudged, "item")} without are in no figure. What nobody judged counts as not relevant, but for bpref; judged@10 says how much of the first ten is judged. nDCG is over items of which a passage has a gain, Recall, MRR and bpref over those of which a passage of the best grade is known.`;
    const rows = found.measures.map((measure) => [measure, ...names.map((each) => figure(found.rankings[each].figures[measure]))]);
    const pairs = found.differences.filter((each) => each.measure === "nDCG@10");
    const differ = pairs.map((each) => [`${each.first} less ${each.second}`, figure(each), each.p === null ? "–" : each.p.toFixed(4)]);
    return [
      h("p", { class: "ca-faint" }, about),
      names.length ? table(["Measure, with 95 % interval", ...names], rows, { label: "Measures" }) : h("p", { class: "ca-faint" }, "No retriever's ranking is in the pool."),
      ...(differ.length ? [table(["Difference of nDCG@10", "with 95 % interval", "p, by paired randomisation"], differ, { label: "Differences" })] : []),
    ];
  }

  function beside(name, found) {
    const groups = [Object.keys(found.rankings), found.answerers].filter((names) => names.length > 1);
    if (!groups.length) return [h("p", { class: "ca-faint" }, "When a second retriever or answerer has been pooled, two can be seen side by side here.")];
    const list = h("div", { class: "ca-list", "aria-live": "polite" });
    const [whole, pair] = field("Side by side", {}, "select");
    const pairs = groups.flatMap((names) => names.flatMap((one, at) => names.slice(at + 1).map((other) => [one, other])));
    pair.append(...pairs.map(([one, other], at) => h("option", { value: at }, `${one} and ${other}`)));
    const show = async () => {
      const [one, other] = pairs[Number(pair.value)];
      list.replaceChildren(h("p", { class: "ca-faint" }, "Looking …"));
      try {
        const items = await ask("beside", { project: name, one, other });
        list.replaceChildren(...(items.length ? items.map((item) => both(name, item, one, other)) : [h("p", { class: "ca-faint" }, "They gave the same for every item.")]));
      } catch (refused) {
        list.replaceChildren(problem(refused.message));
      }
    };
    pair.addEventListener("change", show);
    return [whole, h("div", { class: "ca-row" }, button("Show where they differ most", show)), list];
  }

  function both(name, item, one, other) {
    const maps = { one: h("div", { class: "ca-heat" }), other: h("div", { class: "ca-heat" }) };
    const side = (which, who, { value, found }) =>
      h(
        "section",
        { class: "ca-side-of", "aria-label": who },
        h("h5", {}, who, value === null ? "" : ` · nDCG@10 ${value.toFixed(3)}`),
        maps[which],
        found.length ? h("ol", {}, found.map(passage)) : h("p", { class: "ca-faint" }, "Nothing."),
      );
    const pair = h("div", { class: "ca-pair" }, side("one", one, item.one), side("other", other, item.other));
    const picture = item.pictured && h("img", { class: "ca-small", src: `annotation/photo/${encodeURIComponent(name)}/${item.number}`, alt: `Photo of item ${item.position}`, loading: "lazy" });
    const facts = [`Item ${item.position}`, !item.pictured && "no photo"].filter(Boolean).join(" · ");
    return h("article", { class: "ca-dispute" }, h("div", { class: "ca-beside" }, picture, h("div", {}, h("h4", { dir: "auto" }, item.question), h("p", { class: "ca-faint" }, facts))), item.photo && heat(name, item, [one, other], maps), pair);
  }

  /* What in the photo speaks for each passage: asked for by a button, since models have to work for it. */
  function heat(name, item, [one, other], maps) {
    const said = h("div", { "aria-live": "polite" });
    const show = async () => {
      said.replaceChildren(h("p", { class: "ca-faint" }, "Looking at the photo …"));
      look.disabled = true;
      try {
        const found = await ask("heat", { project: name, item: item.key, one, other });
        for (const which of ["one", "other"]) maps[which].replaceChildren(stage(found.photo, found[which], item[which].found, which === "one" ? one : other));
        look.remove();
        said.replaceChildren(h("p", { class: "ca-faint" }, "Choose a passage's number to see what in the photo speaks for it."));
      } catch (refused) {
        look.disabled = false;
        said.replaceChildren(problem(refused.message));
      }
    };
    const look = button("Show what in the photo speaks for each", show);
    return h("div", {}, h("div", { class: "ca-row" }, look), said);
  }

  function stage(photo, { problem: why, maps }, found, who) {
    if (why) return h("p", { class: "ca-faint" }, why);
    const layer = h("img", { alt: "" });
    const caption = h("figcaption", { class: "ca-faint", "aria-live": "polite" });
    const presses = maps.map((each, at) => button(String(at + 1), () => choose(at), { "aria-pressed": "false", "aria-label": `Passage ${at + 1}: ${found[at]?.title || "without a title"}`, disabled: !each }));
    function choose(at) {
      presses.forEach((press, place) => press.setAttribute("aria-pressed", String(place === at)));
      layer.src = maps[at].picture;
      caption.textContent = maps[at].said;
    }
    const first = maps.findIndex(Boolean);
    if (first < 0) return h("p", { class: "ca-faint" }, "The model makes nothing of these passages.");
    choose(first);
    return h("figure", {}, h("div", { class: "ca-matched" }, h("img", { src: photo, alt: "Photo of the question" }), layer), h("div", { class: "ca-row ca-quiet", role: "group", "aria-label": `Passages of ${who}, on the photo` }, presses), caption);
  }

  function passage({ title, text, grade, elsewhere }, at) {
    const moved = elsewhere === null ? "only here" : elsewhere === at + 1 ? "same place" : `there ${elsewhere}`;
    return h(
      "li",
      { class: elsewhere === null ? "ca-only" : "" },
      h("details", {}, h("summary", {}, `${at + 1}. ${title || shortened(text, 80)}`), h("div", { class: "ca-text", dir: "auto" }, text)),
      h("p", { class: "ca-faint" }, `${grade} · ${moved}`),
    );
  }

  window.citesight.compare = compare;
})();
