/* Annotation: one item as its owner looks at it: its photo, its passages and answers, and the grades of them that are known
   to be right. */
(() => {
  "use strict";
  const { say, counted, announce, place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem, sure, dotted } = window.citesight.draw;

  const CALLED = { passage: "annotate.passage", answer: "annotate.answer" };
  const WITHIN = { passage: "annotate.passage_within", answer: "annotate.answer_within" };
  const WAITING = { passage: "annotate.waiting_passage", answer: "annotate.waiting_answer" };
  const TAKEN = { passage: "annotate.take_away_passage", answer: "annotate.take_away_answer" };

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
    const picture = found.photo && h("img", { class: "ca-small", src: `annotation/photo/${encodeURIComponent(about.project)}/${found.id}`, alt: say("annotate.photo_of", { number: found.position }) });
    const facts = dotted(say("annotate.item", { number: found.position }), say("annotate.id", { key: found.key }), found.kind, !found.photo && say("annotate.no_photo"));
    const known = found.references.length > 0 && h("ul", {}, found.references.map((each) => h("li", { dir: "auto" }, each)));
    return [
      h(
        "div",
        { class: "ca-panel" },
        h("div", { class: "ca-beside" }, picture, h("div", {}, h("h2", { dir: "auto" }, found.question), h("p", { class: "ca-faint" }, facts), known && h("h3", {}, say("annotate.references")), known)),
        h("div", { class: "ca-row" }, button(say("annotate.judge_it"), () => place.go({ page: "judge", project: about.project, part: found.position })), removing(goes, about)),
      ),
      h(
        "div",
        { class: "ca-panel" },
        h("h3", {}, say("annotate.known")),
        h("p", { class: "ca-faint" }, say("annotate.known_about")),
        found.candidates.length ? found.candidates.map((each, at) => candidate(each, at, scales, about, show)) : h("p", { class: "ca-faint" }, say("annotate.nothing_looked")),
      ),
      byText(waiting, scales, about, show),
    ];
  }

  function removing({ judgments, people, finals }, about) {
    const said = h("div", {});
    const settled = finals > 0 && counted("annotate.finals", finals);
    const judged = judgments > 0 && say("annotate.judgments_of", { judgments: counted("annotate.judgments", judgments), people: counted("annotate.persons", people) });
    const lost = judged && settled ? say("annotate.lost_both", { judged, settled }) : judged || settled;
    const gone = async () => {
      try {
        await ask("remove-item", about);
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
        return;
      }
      announce(say("annotate.removed_item"));
      place.go({ page: "projects", project: about.project }, "replaceState");
    };
    return [sure(say("annotate.remove_item"), lost ? say("annotate.remove_lost", { lost }) : say("annotate.remove_unjudged"), say("annotate.remove_it"), gone), said];
  }

  /* A choice of the grade that is known; `chosen` is told a key, or null. */
  function grades(label, scale, now, chosen) {
    const [box, choice] = field(label, {}, "select");
    choice.append(h("option", { value: "" }, say("annotate.not_known")), ...scale.map((grade) => h("option", { value: grade.key }, grade.label)));
    choice.value = now ?? "";
    if (chosen) choice.addEventListener("change", () => chosen(choice.value || null));
    return [box, choice];
  }

  function candidate(each, at, scales, about, show) {
    const said = h("div", { "aria-live": "polite" });
    const called = say(CALLED[each.what], { number: at + 1 });
    const give = async (grade) => {
      try {
        const found = await ask("gold", { ...about, candidate: each.id, grade });
        show(found);
        document.querySelector(`#ca-root [data-gold="${each.id}"] select`)?.focus();
        announce(say(grade ? "annotate.grade_known" : "annotate.grade_unknown", { called }));
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
      }
    };
    const [box] = grades(say("annotate.known_grade_of", { called: say(WITHIN[each.what], { number: at + 1 }) }), scales[each.what], each.gold, give);
    return h(
      "article",
      { class: "ca-dispute", "data-gold": each.id },
      h("h4", { dir: "auto" }, dotted(called, each.title, each.section)),
      h("div", { class: "ca-text", dir: "auto" }, each.text),
      box,
      said,
      each.settled && h("details", {}, h("summary", {}, say("annotate.settled_by", { person: each.settled.final.person })), h("div", { class: "ca-dispute" }, ...window.citesight.settle.judged(about.project, each.settled))),
    );
  }

  /* Of what no retriever has found yet, and perhaps will. */
  function byText(waiting, scales, about, show) {
    const said = h("div", { "aria-live": "polite" });
    const [what, kind] = field(say("annotate.it_is"), {}, "select");
    kind.append(h("option", { value: "passage" }, say("annotate.a_passage")), h("option", { value: "answer" }, say("annotate.an_answer")));
    const [whole, text] = field(say("annotate.its_text"), { rows: 3, maxlength: 100000, required: true }, "textarea");
    const slot = h("div", {});
    let choice;
    const offer = () => {
      const [box, made] = grades(say("annotate.its_grade"), scales[kind.value], null);
      made.firstChild.remove();
      choice = made;
      slot.replaceChildren(box);
    };
    kind.addEventListener("change", offer);
    offer();
    const give = async () => {
      show(await ask("gold-text", { ...about, what: kind.value, text: text.value, grade: choice.value }));
      announce(say("annotate.grade_kept"));
    };
    const label = (each) => scales[each.what].find((grade) => grade.key === each.grade)?.label ?? each.grade;
    const take = (each) => () => ask("take-gold", { ...about, what: each.what, mark: each.mark }).then(show, (refused) => said.replaceChildren(problem(refused.message)));
    const rows = waiting.map((each) =>
      h("li", { class: "ca-row" }, h("span", {}, say(WAITING[each.what], { mark: each.mark.slice(0, 8), grade: label(each) })), button(say("annotate.take_away"), take(each), { "aria-label": say(TAKEN[each.what], { mark: each.mark.slice(0, 8) }) })),
    );
    return h(
      "details",
      { class: "ca-panel", open: waiting.length > 0 },
      h("summary", {}, say("annotate.not_found_yet")),
      rows.length ? h("ul", { class: "ca-list" }, rows) : "",
      form([what, whole, slot], say("annotate.keep_grade"), give),
      said,
    );
  }

  window.citesight.item = item;
})();
