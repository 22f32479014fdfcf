/* Annotation: retrievers and answerers of a project compared: measures with their intervals, and items side by side. */
(() => {
  "use strict";
  const { say, counted, number } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, problem, table, dotted, interval, shortened } = window.citesight.draw;

  /* With how many items it is over, which differs by measure. */
  const figure = ({ value, low, high, items }) =>
    value === null ? say("annotate.no_item") : say("annotate.measured", { figure: interval([value, low, high], 3), items: counted("annotate.items", items) });

  /* A fold that is filled when it is opened first. */
  function compare(name) {
    const box = h("div", { class: "ca-list" });
    const fold = h("details", { class: "ca-panel" }, h("summary", {}, say("annotate.compare")), box);
    fold.addEventListener("toggle", async () => {
      if (!fold.open || box.firstChild) return;
      box.replaceChildren(h("p", { class: "ca-faint" }, say("annotate.measuring")));
      try {
        const found = await ask("measures", { project: name });
        box.replaceChildren(...measures(found), ...beside(name, found));
      } catch (refused) {
        const again = button(say("annotate.again"), () => (box.replaceChildren(), fold.dispatchEvent(new Event("toggle"))));
        box.replaceChildren(problem(refused.message), h("div", { class: "ca-row" }, again));
      }
    });
    return fold;
  }

  function measures(found) {
    const names = Object.keys(found.rankings);
    const about = say("annotate.measures_about", { judged: counted("annotate.items", found.judged), unjudged: counted("annotate.items", found.unjudged) });
    const rows = found.measures.map((measure) => [measure, ...names.map((each) => figure(found.rankings[each].figures[measure]))]);
    const pairs = found.differences.filter((each) => each.measure === "nDCG@10");
    const differ = pairs.map((each) => [say("annotate.less", { first: each.first, second: each.second }), figure(each), each.p === null ? "–" : number(each.p, 4)]);
    return [
      h("p", { class: "ca-faint" }, about),
      names.length ? table([say("annotate.measure_head"), ...names], rows, { label: say("annotate.measures") }) : h("p", { class: "ca-faint" }, say("annotate.no_ranking")),
      ...(differ.length ? [table([say("annotate.difference_head"), say("annotate.with_interval"), say("annotate.p_head")], differ, { label: say("annotate.differences") })] : []),
    ];
  }

  function beside(name, found) {
    const groups = [Object.keys(found.rankings), found.answerers].filter((names) => names.length > 1);
    if (!groups.length) return [h("p", { class: "ca-faint" }, say("annotate.beside_none"))];
    const list = h("div", { class: "ca-list", "aria-live": "polite" });
    const [whole, pair] = field(say("annotate.beside"), {}, "select");
    const pairs = groups.flatMap((names) => names.flatMap((one, at) => names.slice(at + 1).map((other) => [one, other])));
    pair.append(...pairs.map(([one, other], at) => h("option", { value: at }, say("annotate.pair", { one, other }))));
    const show = async () => {
      const [one, other] = pairs[Number(pair.value)];
      list.replaceChildren(h("p", { class: "ca-faint" }, say("annotate.looking")));
      try {
        const items = await ask("beside", { project: name, one, other });
        list.replaceChildren(...(items.length ? items.map((item) => both(name, item, one, other)) : [h("p", { class: "ca-faint" }, say("annotate.beside_same"))]));
      } catch (refused) {
        list.replaceChildren(problem(refused.message));
      }
    };
    pair.addEventListener("change", show);
    return [whole, h("div", { class: "ca-row" }, button(say("annotate.beside_show"), show)), list];
  }

  function both(name, item, one, other) {
    const maps = { one: h("div", { class: "ca-heat" }), other: h("div", { class: "ca-heat" }) };
    const side = (which, who, { value, found }) =>
      h(
        "section",
        { class: "ca-side-of", "aria-label": who },
        h("h5", {}, dotted(who, value !== null && `nDCG@10 ${number(value, 3)}`)),
        maps[which],
        found.length ? h("ol", {}, found.map(passage)) : h("p", { class: "ca-faint" }, say("annotate.nothing")),
      );
    const pair = h("div", { class: "ca-pair" }, side("one", one, item.one), side("other", other, item.other));
    const picture = item.pictured && h("img", { class: "ca-small", src: `annotation/photo/${encodeURIComponent(name)}/${item.number}`, alt: say("annotate.photo_of", { number: item.position }), loading: "lazy" });
    const facts = dotted(say("annotate.item", { number: item.position }), !item.pictured && say("annotate.no_photo"));
    return h("article", { class: "ca-dispute" }, h("div", { class: "ca-beside" }, picture, h("div", {}, h("h4", { dir: "auto" }, item.question), h("p", { class: "ca-faint" }, facts))), item.photo && heat(name, item, [one, other], maps), pair);
  }

  /* What in the photo speaks for each passage: asked for by a button, since models have to work for it. */
  function heat(name, item, [one, other], maps) {
    const said = h("div", { "aria-live": "polite" });
    const show = async () => {
      said.replaceChildren(h("p", { class: "ca-faint" }, say("annotate.looking_photo")));
      look.disabled = true;
      try {
        const found = await ask("heat", { project: name, item: item.key, one, other });
        for (const which of ["one", "other"]) maps[which].replaceChildren(stage(found.photo, found[which], item[which].found, which === "one" ? one : other));
        look.remove();
        said.replaceChildren(h("p", { class: "ca-faint" }, say("annotate.heat_choose")));
      } catch (refused) {
        look.disabled = false;
        said.replaceChildren(problem(refused.message));
      }
    };
    const look = button(say("annotate.heat_show"), show);
    return h("div", {}, h("div", { class: "ca-row" }, look), said);
  }

  function stage(photo, { problem: why, maps }, found, who) {
    if (why) return h("p", { class: "ca-faint" }, why);
    const layer = h("img", { alt: "" });
    const caption = h("figcaption", { class: "ca-faint", "aria-live": "polite" });
    const presses = maps.map((each, at) => button(String(at + 1), () => choose(at), { "aria-pressed": "false", "aria-label": say("annotate.heat_passage", { number: at + 1, title: found[at]?.title || say("annotate.no_title") }), disabled: !each }));
    function choose(at) {
      presses.forEach((press, place) => press.setAttribute("aria-pressed", String(place === at)));
      layer.src = maps[at].picture;
      caption.textContent = maps[at].said;
    }
    const first = maps.findIndex(Boolean);
    if (first < 0) return h("p", { class: "ca-faint" }, say("annotate.heat_none"));
    choose(first);
    return h("figure", {}, h("div", { class: "ca-matched" }, h("img", { src: photo, alt: say("annotate.photo_of_question") }), layer), h("div", { class: "ca-row ca-quiet", role: "group", "aria-label": say("annotate.heat_of", { who }) }, presses), caption);
  }

  function passage({ title, text, grade, elsewhere }, at) {
    const moved = elsewhere === null ? say("annotate.only_here") : elsewhere === at + 1 ? say("annotate.same_place") : say("annotate.there", { rank: elsewhere });
    return h(
      "li",
      { class: elsewhere === null ? "ca-only" : "" },
      h("details", {}, h("summary", { dir: "auto" }, `${at + 1}. ${title || shortened(text, 80)}`), h("div", { class: "ca-text", dir: "auto" }, text)),
      h("p", { class: "ca-faint" }, dotted(grade, moved)),
    );
  }

  window.citesight.compare = compare;
})();
