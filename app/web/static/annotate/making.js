/* Annotation: making a project: its name, guidelines, judges and grades, with what is wrong said beside each field. */
(() => {
  "use strict";
  const { place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem } = window.citesight.draw;
  const MOST = 9; // grades, one key each
  const WHAT = { passage: "passages", answer: "answers" };

  const whole = (typed) => (/^-?\d{1,9}$/.test(typed.trim()) ? Number(typed) : typed.trim());
  const keyOf = (label) => label.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32);

  /* The fold, which asks what its fields begin with when it is opened first. */
  function making() {
    const box = h("div", {});
    const fold = h("details", { class: "ca-panel" }, h("summary", {}, "New project"), box);
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
    const [name, named] = field("Name", { maxlength: 64, placeholder: "fruit-2026", "data-field": "project" });
    const [guide, guidelines] = field("Guidelines (Markdown), shown beside the work", { rows: 6, "data-field": "guidelines" }, "textarea");
    const [people, judges] = field("People who judge each item", { type: "number", min: 1, max: 20, value: usual.judges, "data-field": "judges" });
    const [seen, blind] = field("Judge blind: without ranks, in an order of chance", { type: "checkbox", checked: usual.blind });
    seen.classList.add("ca-tick");
    const scales = Object.fromEntries(Object.keys(WHAT).map((what) => [what, scale(what, usual.scales[what])]));
    const make = async () => {
      const grades = Object.fromEntries(Object.entries(scales).map(([what, each]) => [what, each.value()]));
      const told = { project: named.value, guidelines: guidelines.value, judges: whole(judges.value), blind: blind.checked, scales: grades };
      const { name: made } = await ask("create", told);
      place.go({ page: "projects", project: made });
    };
    return form([name, guide, people, seen, scales.passage.fold, scales.answer.fold], "Make the project", make, { novalidate: true });
  }

  /* The grades of passages or of answers, best to worst or in any order. */
  function scale(what, usual) {
    const list = h("ol", { class: "ca-steps" });
    const add = button("Add a grade", () => (rows.push(row({ label: "", key: "", gain: 0 })), draw(), rows.at(-1).label.focus()));
    const reset = button("The usual grades", () => ((rows = usual.map(row)), draw()));
    let rows = usual.map(row);

    function row(grade) {
      const made = { typed: Boolean(grade.key) };
      const [labelled, label] = field("Label, as people press it", { value: grade.label, maxlength: 200 });
      const [named, key] = field("Name in files", { value: grade.key, maxlength: 64 });
      const [worth, gain] = field("Gain", { value: grade.gain ?? "", inputmode: "numeric", maxlength: 9 });
      Object.assign(made, { label, key, gain });
      made.label.addEventListener("input", () => made.typed || (made.key.value = keyOf(made.label.value)));
      made.key.addEventListener("input", () => (made.typed = Boolean(made.key.value)));
      made.up = button("↑", () => {
        const at = rows.indexOf(made);
        rows.splice(at - 1, 2, made, rows[at - 1]);
        draw();
        (at > 1 ? made.up : made.label).focus();
      });
      made.out = button("Leave out", () => (rows.splice(rows.indexOf(made), 1), draw(), add.focus()));
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
        each.up.setAttribute("aria-label", `Grade ${at + 1} of ${WHAT[what]} one up`);
        each.out.setAttribute("aria-label", `Leave out grade ${at + 1} of ${WHAT[what]}`);
        each.parts.setAttribute("aria-label", `Grade ${at + 1} of ${WHAT[what]}`);
      });
      list.replaceChildren(...rows.map((each) => each.whole));
      add.hidden = rows.length >= MOST;
    }
    draw();
    const about = h("p", { class: "ca-faint" }, "The gain is what a grade is worth in qrels and measures: 0 is nothing. Without one it stands outside both, as “cannot tell” does. The number in front is its key. Grades stay as they are once the project is made.");
    const fold = h("details", { class: "ca-scale" }, h("summary", {}, `Grades of ${WHAT[what]}`), about, h("div", { "data-field": what }, list), h("div", { class: "ca-row" }, add, reset));
    const value = () => rows.map((each) => ({ label: each.label.value, key: each.key.value.trim(), gain: each.gain.value.trim() === "" ? null : whole(each.gain.value) }));
    return { fold, value };
  }

  window.citesight.making = making;
})();
