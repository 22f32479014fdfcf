/* Annotation: what somebody judged, newest first, to go back to. */
(() => {
  "use strict";
  const { say } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, problem, listed, dotted, when } = window.citesight.draw;

  /* In a box, or out of it. project: as the server gives it; load: goes to an item and a candidate of it. */
  async function lookBack(box, project, load) {
    if (box.firstChild) {
      box.replaceChildren();
      return;
    }
    const list = h("ul", { class: "ca-back" });
    const more = h("div", {});
    let before;
    const page = async () => {
      const found = await ask("mine", { project: project.name, ...(before && { before }) });
      before = found.judged.at(-1)?.number;
      const graded = (each) => project.scales[each.what]?.find((grade) => grade.key === each.grade)?.label ?? each.grade;
      const label = (each) =>
        listed(graded(each), each.skipped && say("annotate.aside_for", { reason: each.skipped }), each.span && say("annotate.with_words"), each.region && say("annotate.with_part"), each.comment && say("annotate.with_comment")) || say("annotate.taken_back");
      const of = (each) => dotted(say("annotate.item", { number: each.position }), each.question, each.title || each.beginning);
      list.append(
        ...found.judged.map((each) =>
          h("li", {}, button(dotted(label(each), of(each), when(each.at)), () => load({ item: each.item }, each.candidate))),
        ),
      );
      more.replaceChildren(...(found.more ? [button(say("annotate.more"), page)] : []));
      if (!list.firstChild) list.append(h("li", { class: "ca-faint" }, say("annotate.nothing_yet")));
    };
    box.replaceChildren(h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.judged_newest")), list, more));
    try {
      await page();
    } catch (refused) {
      box.replaceChildren(problem(refused.message));
    }
  }

  window.citesight.lookBack = lookBack;
})();
