/* Annotation: making elements. Texts become text and nothing else, whoever wrote them. */
(() => {
  "use strict";
  const { say, number, locale, apart } = window.citesight;
  /* An element with attributes and children. In `attributes`, functions are listeners (click, input, ...), false and
     undefined leave one out, true sets one without a value. Children are nodes, texts, lists of them, or nothing. */
  function h(kind, attributes = {}, ...children) {
    const made = document.createElement(kind);
    Object.entries(attributes).forEach(([name, value]) => {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (name === "value") made.value = value;
      else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value === true ? "" : value);
    });
    made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  }

  const button = (text, press, attributes = {}) =>
    h("button", { type: "button", class: "ca-button", click: press, ...attributes }, text);

  let fields = 0;
  /* A labelled field: [the whole, the field itself]. */
  function field(label, attributes = {}, kind = "input") {
    fields += 1;
    const id = `ca-field-${fields}`;
    const made = h(kind, { id, ...attributes });
    return [h("div", { class: "ca-field" }, h("label", { for: id }, label), made), made];
  }

  const problem = (sentence) => h("p", { class: "cs-error", role: "alert" }, sentence);

  /* A form whose button does something that may be refused. The reason is said beside the fields that it is about, which
     are known by data-field, else below the form. */
  function form(fieldsOf, label, submit, attributes = {}) {
    const said = h("div", {});
    const press = h("button", { type: "submit", class: "ca-button ca-first" }, label);
    const made = h("form", { class: "ca-form", ...attributes }, fieldsOf, h("div", { class: "ca-row" }, press), said);
    made.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (press.disabled) return;
      press.disabled = true;
      said.replaceChildren();
      unmark(made);
      try {
        await submit();
      } catch (refused) {
        const left = mark(made, refused.fields ?? {});
        const nothing = refused.fields && Object.keys(refused.fields).length && !left.length;
        if (nothing) window.citesight.announce(refused.message);
        else said.replaceChildren(problem(left.join(" ") || refused.message));
      }
      press.disabled = false;
    });
    return made;
  }

  function unmark(made) {
    made.querySelectorAll(".ca-wrong-field").forEach((each) => each.remove());
    made.querySelectorAll("[aria-invalid]").forEach((each) => {
      each.removeAttribute("aria-invalid");
      each.removeAttribute("aria-describedby");
    });
  }

  /* Says what is wrong beside each field, and goes to the first; the sentences of fields that are not there. */
  function mark(made, wrong) {
    const found = Object.entries(wrong).map(([name, sentence]) => [made.querySelector(`[data-field="${CSS.escape(name)}"]`), sentence]);
    found.filter(([of]) => of).forEach(([of, sentence]) => {
      fields += 1;
      of.setAttribute("aria-invalid", "true");
      of.setAttribute("aria-describedby", `ca-field-${fields}`);
      of.after(h("p", { class: "ca-wrong-field", id: `ca-field-${fields}` }, sentence));
      for (let fold = of.closest("details:not([open])"); fold; fold = of.closest("details:not([open])")) fold.open = true;
    });
    const first = made.querySelector("[aria-invalid]");
    (first?.matches("input, textarea, select") ? first : first?.querySelector("input"))?.focus();
    return found.filter(([of]) => !of).map(([, sentence]) => sentence);
  }

  /* A button that asks for a second press, in its own place. question: a sentence, or what gives one in time; no: what
     leaves all as it is. */
  function sure(label, question, yes, press, keep = say("script.keep_it")) {
    const box = h("span", { class: "ca-sure" });
    const ask = async () => {
      const no = button(keep, () => box.replaceChildren(first));
      let asked;
      try {
        asked = typeof question === "string" ? question : await question();
      } catch (refused) {
        box.replaceChildren(first, problem(refused.message));
        return;
      }
      box.replaceChildren(h("span", {}, asked), button(yes, press, { class: "ca-button ca-danger" }), no);
      no.focus();
    };
    const first = button(label, ask);
    box.append(first);
    return box;
  }

  /* On a narrow screen each row of a table stands by itself, each cell behind its head: with the roles said, since what is
     no table to the eye would be none to who hears the page. */
  const lines = (heads, rows) =>
    rows.map((row) =>
      h("tr", { role: "row" }, row.map((cell, at) => h(at ? "td" : "th", at ? { role: "cell", "data-head": heads[at] } : { scope: "row", role: "rowheader" }, cell))),
    );

  function table(heads, rows, attributes = {}) {
    const body = h("tbody", { role: "rowgroup" }, lines(heads, rows));
    const head = h("tr", { role: "row" }, heads.map((each) => h("th", { scope: "col", role: "columnheader" }, each)));
    const label = attributes.label ?? heads[0];
    return h("div", { class: "ca-scroll", tabindex: 0, role: "region", "aria-label": label }, h("table", { role: "table" }, h("thead", { role: "rowgroup" }, head), body));
  }

  /* A text as a sentence of its own, however it ends. */
  const ended = (text) => (/[.?!…。？！؟]["'”’»)\]]*$/.test(text.trim()) ? text.trim() : `${text.trim()}${say("stop")}`);

  /* What there is of several texts, one after the other. */
  const listed = (...texts) => texts.filter(Boolean).map(apart).join(say("comma"));
  const dotted = (...texts) => texts.filter(Boolean).map(apart).join(" · ");

  const interval = ([value, low, high], places) =>
    say("annotate.interval", { value: number(value, places), low: number(low, places), high: number(high, places) });

  /* A text of at most so many characters, cut between words and with dots where something is left out. */
  function shortened(text, most) {
    const letters = Array.from(text);
    if (letters.length <= most) return text;
    const cut = letters.slice(0, most).join("");
    const space = cut.search(/\s+\S*$/);
    return `${space > cut.length / 2 ? cut.slice(0, space) : cut} …`;
  }

  const when = (moment) =>
    new Date(moment).toLocaleString(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

  window.citesight.draw = { h, button, field, form, problem, sure, table, lines, listed, dotted, interval, ended, shortened, when };
})();
