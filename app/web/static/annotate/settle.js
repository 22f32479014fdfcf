/* Annotation: settling. What people said of a passage or an answer on which they differ, with all that they saw of it, and
   the final judgment, which can be given anew. Knows nothing of the rest of a project's page. */
(() => {
  "use strict";
  const { say } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, problem, table, listed, dotted, when } = window.citesight.draw;
  const SHOWN = 10; // at a time

  const labelled = (each, key) => each.scale.find((grade) => grade.key === key)?.label ?? key;
  const words = (text, [from, to]) => Array.from(text).slice(from, to).join(""); // places count characters

  /* Where people differ, with the guidelines by which they judged. */
  async function differing(name, box) {
    const [found, project] = await Promise.all([ask("disagreements", { project: name }), ask("project", { project: name })]);
    const list = h("div", {});
    const more = h("div", { class: "ca-row" });
    const seen = new Set();
    const fresh = (all) => all.filter((each) => !seen.has(each.candidate.id));
    let waiting = [...found];
    const show = async () => {
      if (!waiting.length) waiting = fresh(await ask("disagreements", { project: name }));
      const some = waiting.splice(0, SHOWN);
      some.forEach((each) => seen.add(each.candidate.id));
      list.append(...some.map((each) => dispute(name, each)));
      const left = waiting.length > 0 || some.length === SHOWN;
      more.replaceChildren(...(left ? [button(say("annotate.show_more"), () => show().catch((refused) => more.append(problem(refused.message))))] : []));
    };
    if (found.length) await show();
    const guidelines = found.length > 0 && window.citesight.guidelines(project, false);
    const heading = h("h3", {}, say("annotate.differ"));
    box.replaceChildren(...(found.length ? [h("div", { class: "ca-panel" }, heading, guidelines, list, more)] : []), settled(name));
  }

  /* What was settled, newest first: a fold that asks whenever it is opened. */
  function settled(name) {
    const list = h("div", {});
    const more = h("div", { class: "ca-row" });
    let after = 0;
    const show = async () => {
      const found = await ask("settled", { project: name, after });
      after += found.settled.length;
      list.append(...found.settled.map((each) => folded(name, each)));
      if (!after) list.append(h("p", { class: "ca-faint" }, say("annotate.settled_none")));
      more.replaceChildren(...(found.more ? [button(say("annotate.show_more"), safe)] : []));
    };
    const safe = () => show().catch((refused) => more.append(problem(refused.message)));
    const fold = h("details", { class: "ca-panel" }, h("summary", {}, say("annotate.settled")), list, more);
    fold.addEventListener("toggle", (event) => {
      if (!fold.open || event.target !== fold) return;
      list.replaceChildren();
      after = 0;
      safe();
    });
    return fold;
  }

  function folded(name, each) {
    const called = dotted(say("annotate.item", { number: each.position }), each.question, labelled(each, each.final.grade), say("annotate.by_when", { person: each.final.person, when: when(each.final.at) }));
    const fold = h("details", {}, h("summary", {}, called));
    fold.addEventListener("toggle", () => fold.open && fold.children.length < 2 && fold.append(dispute(name, each)));
    return fold;
  }

  function dispute(name, each) {
    const { candidate } = each;
    const address = `annotation/photo/${encodeURIComponent(name)}/${each.item}`;
    const picture = each.photo && h("a", { class: "ca-enlarge", href: address, target: "_blank", rel: "noopener", title: say("annotate.whole_photo") }, h("img", { src: address, alt: say("annotate.photo_of", { number: each.position }), loading: "lazy" }));
    const facts = dotted(say("annotate.item", { number: each.position }), each.kind, !each.photo && say("annotate.no_photo"), say(candidate.what === "answer" ? "annotate.kind_answer" : "annotate.kind_passage"));
    const title = [candidate.title, candidate.section].filter(Boolean).join(" › ");
    const references = each.references.length > 0 && h("div", {}, h("h5", {}, say("annotate.references")), h("ul", {}, each.references.map((one) => h("li", { dir: "auto" }, one))));
    return h(
      "article",
      { class: "ca-dispute" },
      h(
        "div",
        { class: "ca-beside" },
        picture,
        h("div", {}, h("h4", { dir: "auto" }, each.question), h("p", { class: "ca-faint" }, facts), title && h("p", { class: "ca-faint", dir: "auto" }, title), h("div", { class: "ca-text", dir: "auto" }, marked(each)), sources(candidate), references),
      ),
      ...judged(name, each),
    );
  }

  /* The text, with what anybody marked in it. */
  function marked({ candidate: { text }, judged: all }) {
    const letters = Array.from(text);
    const inside = letters.map((_, at) => all.some(({ span }) => span && span[0] <= at && at < span[1]));
    const edges = letters.map((_, at) => at).filter((at) => !at || inside[at] !== inside[at - 1]);
    return edges.map((from, at) => {
      const part = letters.slice(from, edges[at + 1]).join("");
      return inside[from] ? h("mark", {}, part) : part;
    });
  }

  function sources({ citations }) {
    if (!citations.length) return null;
    return h("ul", { class: "ca-citations" }, citations.map((cited) => h("li", {}, `[${cited.number}] `, h("b", {}, cited.title), cited.quotes.map((quote) => h("q", { dir: "auto" }, quote)))));
  }

  /* What each said, and the final judgment. */
  function judged(name, each) {
    const said = h("p", { class: "ca-settled", "aria-live": "polite" });
    const [whole, comment] = field(say("annotate.why"), { dir: "auto", maxlength: 10000, value: each.final?.comment ?? "" });
    let final = each.final?.grade ?? "";
    const settle = async (grade) => {
      try {
        each.final = await ask("settle", { project: name, item: each.item, candidate: each.candidate.id, grade, comment: comment.value });
        final = grade;
        show();
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
      }
    };
    comment.addEventListener("change", () => final && settle(final));
    const choices = each.scale.map((grade) => button(grade.label, () => settle(grade.key), { class: "ca-grade", "data-grade": grade.key }));
    function show() {
      said.textContent = final ? say("annotate.settled_now", { grade: labelled(each, final), person: each.final.person, when: when(each.final.at) }) : "";
      choices.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.grade === final)));
    }
    show();
    return [people(each), whole, h("div", { class: "ca-grades", role: "group", "aria-label": say("annotate.final") }, choices), said];
  }

  function people(each) {
    const { candidate } = each;
    const shown = each.judged.filter((one) => one.grade || one.comment || one.correction || one.citations);
    const found = [
      [say("annotate.judgment"), (one) => (one.grade ? labelled(each, one.grade) : say("annotate.no_judgment"))],
      [say("annotate.words_marked"), (one) => (one.span ? words(candidate.text, one.span) : "")],
      [say("annotate.sources"), (one) => listed(...Object.entries(one.citations ?? {}).map(([number, good]) => `[${number}] ${say(good ? "annotate.supported" : "annotate.not_supported")}`))],
      [say("annotate.comment"), (one) => one.comment ?? ""],
      [say("annotate.their_words"), (one) => one.correction ?? ""],
    ].filter(([, of], at) => !at || shown.some(of));
    return table([say("annotate.person"), ...found.map(([head]) => head)], shown.map((one) => [one.person, ...found.map(([, of]) => of(one))]), { label: say("annotate.what_each") });
  }

  window.citesight.settle = { differing, judged };
})();
