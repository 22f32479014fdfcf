/* Annotation: one item as its owner looks at it: its photo, its passages and answers, and the grades of them that are known
   to be right. */
(() => {
  "use strict";
  const { announce, place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem, sure, counted } = window.citesight.draw;

  /* In a view, which has what goes to the project before it. */
  async function item(view, project, position) {
    const box = h("div", { class: "ca-list" });
    view.append(box);
    const about = { project };
    const show = (found) => box.replaceChildren(...draw(found, about, show));
    try {
      const found = await ask("look", { project, position });
      about.item = found.item.id;
      show(found);
    } catch (refused) {
      box.replaceChildren(problem(refused.message));
    }
  }

  function draw({ item: found, waiting, scales, goes }, about, show) {
    const picture = found.photo && h("img", { class: "ca-small", src: `annotation/photo/${encodeURIComponent(about.project)}/${found.id}`, alt: `Photo of item ${found.position}` });
    const facts = [`Item ${found.position}`, `id ${found.key}`, found.kind, !found.photo && "no photo"].filter(Boolean).join(" · ");
    const known = found.references.length > 0 && h("ul", {}, found.references.map((each) => h("li", { dir: "auto" }, each)));
    return [
      h(
        "div",
        { class: "ca-panel" },
        h("div", { class: "ca-beside" }, picture, h("div", {}, h("h2", { dir: "auto" }, found.question), h("p", { class: "ca-faint" }, facts), known && h("h3", {}, "Reference answers"), known)),
        h("div", { class: "ca-row" }, button("Judge it", () => place.go({ page: "judge", project: about.project, part: found.position })), removing(goes, about)),
      ),
      h(
        "div",
        { class: "ca-panel" },
        h("h3", {}, "What is judged, and what is known to be right"),
        h("p", { class: "ca-faint" }, "Who judges never sees which grades are known; the project's page says who met them."),
        found.candidates.length ? found.candidates.map((each, at) => candidate(each, at, scales, about, show)) : h("p", { class: "ca-faint" }, "Nothing was looked for yet."),
      ),
      byText(waiting, scales, about, show),
    ];
  }

  function removing({ judgments, people, finals }, about) {
    const said = h("div", {});
    const settled = finals > 0 && `${counted(finals, "final judgment")}`;
    const judged = judgments > 0 && `${counted(judgments, "judgment")} of ${counted(people, "person", "people")}`;
    const lost = [judged, settled].filter(Boolean).join(" and ");
    const gone = async () => {
      try {
        await ask("remove-item", about);
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
        return;
      }
      announce("The item was removed.");
      place.go({ page: "projects", project: about.project }, "replaceState");
    };
    return [sure("Remove the item", lost ? `Remove it? ${lost} of it would count no more.` : "Remove it? Nobody has judged it.", "Remove it", gone), said];
  }

  /* A choice of the grade that is known; `chosen` is told a key, or null. */
  function grades(label, scale, now, chosen) {
    const [box, choice] = field(label, {}, "select");
    choice.append(h("option", { value: "" }, "not known"), ...scale.map((grade) => h("option", { value: grade.key }, grade.label)));
    choice.value = now ?? "";
    if (chosen) choice.addEventListener("change", () => chosen(choice.value || null));
    return [box, choice];
  }

  function candidate(each, at, scales, about, show) {
    const said = h("div", { "aria-live": "polite" });
    const called = `${each.what === "answer" ? "Answer" : "Passage"} ${at + 1}`;
    const give = async (grade) => {
      try {
        const found = await ask("gold", { ...about, candidate: each.id, grade });
        show(found);
        document.querySelector(`#ca-root [data-gold="${each.id}"] select`)?.focus();
        announce(grade ? `${called}: its grade is known.` : `${called}: no grade is known.`);
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
      }
    };
    const [box] = grades(`Known grade of ${called.toLowerCase()}`, scales[each.what], each.gold, give);
    return h(
      "article",
      { class: "ca-dispute", "data-gold": each.id },
      h("h4", { dir: "auto" }, [called, each.title, each.section].filter(Boolean).join(" · ")),
      h("div", { class: "ca-text", dir: "auto" }, each.text),
      box,
      said,
      each.settled && h("details", {}, h("summary", {}, `Settled by ${each.settled.final.person}`), h("div", { class: "ca-dispute" }, ...window.citesight.settle.judged(about.project, each.settled))),
    );
  }

  /* Of what no retriever has found yet, and perhaps will. */
  function byText(waiting, scales, about, show) {
    const said = h("div", { "aria-live": "polite" });
    const [what, kind] = field("It is", {}, "select");
    kind.append(h("option", { value: "passage" }, "a passage"), h("option", { value: "answer" }, "an answer"));
    const [whole, text] = field("Its text, word for word", { rows: 3, maxlength: 100000, required: true }, "textarea");
    const slot = h("div", {});
    let choice;
    const offer = () => {
      const [box, made] = grades("Its grade", scales[kind.value], null);
      made.firstChild.remove();
      choice = made;
      slot.replaceChildren(box);
    };
    kind.addEventListener("change", offer);
    offer();
    const give = async () => {
      show(await ask("gold-text", { ...about, what: kind.value, text: text.value, grade: choice.value }));
      announce("The grade is kept.");
    };
    const label = (each) => scales[each.what].find((grade) => grade.key === each.grade)?.label ?? each.grade;
    const take = (each) => () => ask("take-gold", { ...about, what: each.what, mark: each.mark }).then(show, (refused) => said.replaceChildren(problem(refused.message)));
    const rows = waiting.map((each) =>
      h("li", { class: "ca-row" }, h("span", {}, `${each.what} ${each.mark.slice(0, 8)} …: ${label(each)}`), button("Take it away", take(each), { "aria-label": `Take away the grade of ${each.what} ${each.mark.slice(0, 8)}` })),
    );
    return h(
      "details",
      { class: "ca-panel", open: waiting.length > 0 },
      h("summary", {}, "Grades of what is not found yet"),
      rows.length ? h("ul", { class: "ca-list" }, rows) : "",
      form([what, whole, slot], "Keep this grade", give),
      said,
    );
  }

  window.citesight.item = item;
})();
