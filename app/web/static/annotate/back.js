/* Annotation: what somebody judged, newest first, to go back to. */
(() => {
  "use strict";
  const { ask } = window.citesight.server;
  const { h, button, problem, when } = window.citesight.draw;

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
        [graded(each), each.skipped && `put aside: ${each.skipped}`, each.span && "words marked", each.region && "part of the photo", each.comment && "comment"].filter(Boolean).join(", ") || "taken back";
      const of = (each) => [`Item ${each.position}`, each.question, each.title || each.beginning].filter(Boolean).join(" · ");
      list.append(
        ...found.judged.map((each) =>
          h("li", {}, button(`${label(each)} · ${of(each)} · ${when(each.at)}`, () => load({ item: each.item }, each.candidate))),
        ),
      );
      more.replaceChildren(...(found.more ? [button("More", page)] : []));
      if (!list.firstChild) list.append(h("li", { class: "ca-faint" }, "Nothing yet."));
    };
    box.replaceChildren(h("div", { class: "ca-panel" }, h("h3", {}, "What I judged, newest first"), list, more));
    try {
      await page();
    } catch (refused) {
      box.replaceChildren(problem(refused.message));
    }
  }

  window.citesight.lookBack = lookBack;
})();
