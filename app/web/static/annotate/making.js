/* Annotation: making a project: its name, guidelines, judges and grades, with what is wrong said beside each field. */
(() => {
  "use strict";
  const { say, place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem } = window.citesight.draw;
  const MOST = 9; // grades, one key each
  const GRADES = { passage: "annotate.grades_passage", answer: "annotate.grades_answer" };
  const GRADE = { passage: "annotate.grade_passage", answer: "annotate.grade_answer" };
  const UP = { passage: "annotate.grade_up_passage", answer: "annotate.grade_up_answer" };
  const OUT = { passage: "annotate.grade_out_passage", answer: "annotate.grade_out_answer" };

  const whole = (typed) => (/^-?\d{1,9}$/.test(typed.trim()) ? Number(typed) : typed.trim());
  const keyOf = (label) => label.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32);

  /* The fold, which asks what its fields begin with when it is opened first. */
  function making() {
    const box = h("div", {});
    const fold = h("details", { class: "ca-panel" }, h("summary", {}, say("annotate.new_project")), box);
    fold.addEventListener("toggle", async () => {
      if (!fold.open || box.firstChild) return;
      try {
        box.replaceChildren(fields(await ask("begin-project")));
        box.querySelector("input").focus();
      } catch (refused) {
        box.replaceChildren(problem(refused.message));
      }
    });
    return fold;
  }

  function fields(usual) {
    const [name, named] = field(say("annotate.name"), { maxlength: 64, placeholder: "fruit-2026", "data-field": "project" });
    const [guide, guidelines] = field(say("annotate.guidelines_field"), { rows: 6, dir: "auto", "data-field": "guidelines" }, "textarea");
    const [people, judges] = field(say("annotate.judges"), { type: "number", min: 1, max: 20, value: usual.judges, "data-field": "judges" });
    const [seen, blind] = field(say("annotate.judge_blind"), { type: "checkbox", checked: usual.blind });
    seen.classList.add("ca-tick");
    const scales = Object.fromEntries(Object.keys(GRADES).map((what) => [what, scale(what, usual.scales[what])]));
    const make = async () => {
      const grades = Object.fromEntries(Object.entries(scales).map(([what, each]) => [what, each.value()]));
      const told = { project: named.value, guidelines: guidelines.value, judges: whole(judges.value), blind: blind.checked, scales: grades };
      const { name: made } = await ask("create", told);
      place.go({ page: "projects", project: made });
    };
    return form([name, guide, people, seen, scales.passage.fold, scales.answer.fold], say("annotate.make"), make, { novalidate: true });
  }

  /* The grades of passages or of answers, best to worst or in any order. */
  function scale(what, usual) {
    const list = h("ol", { class: "ca-steps" });
    const add = button(say("annotate.add_grade"), () => (rows.push(row({ label: "", key: "", gain: 0 })), draw(), rows.at(-1).label.focus()));
    const reset = button(say("annotate.usual_grades"), () => ((rows = usual.map(row)), draw()));
    let rows = usual.map(row);

    function row(grade) {
      const made = { typed: Boolean(grade.key) };
      const [labelled, label] = field(say("annotate.label_field"), { dir: "auto", value: grade.label, maxlength: 200 });
      const [named, key] = field(say("annotate.key_field"), { value: grade.key, maxlength: 64 });
      const [worth, gain] = field(say("annotate.gain"), { value: grade.gain ?? "", inputmode: "numeric", maxlength: 9 });
      Object.assign(made, { label, key, gain });
      made.label.addEventListener("input", () => made.typed || (made.key.value = keyOf(made.label.value)));
      made.key.addEventListener("input", () => (made.typed = Boolean(made.key.value)));
      made.up = button("↑", () => {
        const at = rows.indexOf(made);
        rows.splice(at - 1, 2, made, rows[at - 1]);
        draw();
        (at > 1 ? made.up : made.label).focus();
      });
      made.out = button(say("annotate.leave_out"), () => (rows.splice(rows.indexOf(made), 1), draw(), add.focus()));
      made.parts = h("div", { class: "ca-step", role: "group" }, labelled, named, worth, h("div", { class: "ca-row" }, made.up, made.out));
      made.whole = h("li", {}, made.parts);
      return made;
    }

    function draw() {
      rows.forEach((each, at) => {
        each.label.dataset.field = `${what}.${at}`;
        each.key.dataset.field = `${what}.${at}.key`;
        each.gain.dataset.field = `${what}.${at}.gain`;
        each.up.hidden = at === 0;
        each.up.setAttribute("aria-label", say(UP[what], { number: at + 1 }));
        each.out.setAttribute("aria-label", say(OUT[what], { number: at + 1 }));
        each.parts.setAttribute("aria-label", say(GRADE[what], { number: at + 1 }));
      });
      list.replaceChildren(...rows.map((each) => each.whole));
      add.hidden = rows.length >= MOST;
    }
    draw();
    const about = h("p", { class: "ca-faint" }, say("annotate.gain_about"));
    const fold = h("details", { class: "ca-scale" }, h("summary", {}, say(GRADES[what])), about, h("div", { "data-field": what }, list), h("div", { class: "ca-row" }, add, reset));
    const value = () => rows.map((each) => ({ label: each.label.value, key: each.key.value.trim(), gain: each.gain.value.trim() === "" ? null : whole(each.gain.value) }));
    return { fold, value };
  }

  window.citesight.making = making;
})();
