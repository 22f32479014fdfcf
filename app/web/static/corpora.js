/* The Corpora page: its buttons are HTML that is drawn anew while something runs, so they are handled here. What is
   pressed is written as JSON into a hidden field, whose change the program acts on. */
(() => {
  "use strict";
  const { all, one, say, settled } = window.citesight;
  // same: nothing of the form was changed since Start was pressed, when, in milliseconds.
  const state = { asked: "", open: new Set(), sent: 0, down: null, pressed: "", same: false, when: 0 };
  const SOON = 10_000; // milliseconds in which the page shows, on a busy machine too, that a corpus was begun or why not

  function send(command) {
    const field = one("#cc-command textarea, #cc-command input");
    if (!field) return;
    state.sent += 1; // the same command twice is two commands
    field.value = JSON.stringify({ ...command, number: String(state.sent) });
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function pressed(button) {
    const { do: what, corpus, document: opened, last } = button.dataset;
    state.pressed = button.dataset.key;
    all("#cc-problem .cs-error").forEach((said) => (said.dataset.past = "")); // it was about another button
    send({ do: what, ...(corpus && { corpus }), ...(opened && { document: opened }), ...(last && { last }) });
    if (what === "browse") one("#cc-heading")?.scrollIntoView({ behavior: "auto", block: "start" });
    if (what === "open" || what === "before" || what === "after") state.up = true;
  }

  /* Deleting asks for a second click, in the place of the first, and forgets that it asked when anything else is done. */
  function ask(button) {
    const key = button?.dataset.key ?? "";
    if (state.asked !== key) state.asked = key;
    settle();
    one(".cc-sure .cc-no")?.focus();
  }

  function sure(button) {
    const box = document.createElement("div");
    box.className = "cc-sure";
    box.setAttribute("role", "group");
    const text = document.createElement("p");
    text.textContent = button.dataset.sure;
    const yes = document.createElement("button");
    yes.type = "button";
    yes.className = "cc-yes";
    yes.textContent = say("script.delete");
    yes.dataset.key = `yes ${button.dataset.key}`;
    const no = document.createElement("button");
    no.type = "button";
    no.className = "cc-no";
    no.textContent = say("script.keep_it");
    no.dataset.key = `no ${button.dataset.key}`;
    box.append(text, yes, no);
    return box;
  }

  /* A corpus that is being begun is not begun again by a second press, unless something of the form was changed or what
     went wrong with the first is told by now. */
  function altered(event) {
    if (event.target.closest?.("#cc-add")) state.same = false;
  }
  function begin(event) {
    if (!event.target.closest?.("#cc-start")) {
      altered(event); // such as what takes the files away
      return;
    }
    const wrong = one("#cc-unbegun .cs-error");
    const told = wrong && wrong.dataset.past === undefined;
    if (state.same && !told && performance.now() - state.when < SOON) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (wrong) wrong.dataset.past = "";
    state.same = true;
    state.when = performance.now();
  }
  addEventListener("click", begin, true);
  ["input", "change"].forEach((type) => addEventListener(type, altered, true));

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const button = target.closest(".cc-do");
    // The second click of two, which may meet what has taken the button's place.
    if (event.detail > 1 && button?.matches("[data-do=pause], [data-do=resume]")) return;
    if (target.closest(".cc-yes")) {
      const asked = one(`.cc-do[data-key="${CSS.escape(state.asked)}"]`);
      state.asked = "";
      if (asked) pressed(asked);
      settle();
    } else if (button && button.dataset.sure) {
      ask(button);
    } else if (state.asked) {
      const asked = state.asked;
      ask(null);
      if (target.closest(".cc-no")) one(`.cc-do[data-key="${CSS.escape(asked)}"]`)?.focus();
      if (button) pressed(button);
    } else if (button) {
      pressed(button);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !state.asked) return;
    event.preventDefault(); // it is used up: nothing else is ended by it
    const asked = state.asked;
    ask(null);
    one(`.cc-do[data-key="${CSS.escape(asked)}"]`)?.focus();
  });

  // A button that is made anew between press and release, as those of the question above are with every step of what
  // runs, is another one then, and the browser sees no click.
  const keyed = (event) => (event.target instanceof Element ? event.target.closest("button[data-key]") : null);
  document.addEventListener("pointerdown", (event) => {
    state.down = keyed(event);
  });
  document.addEventListener("pointerup", (event) => {
    const released = keyed(event);
    if (released && state.down && !state.down.isConnected && released.dataset.key === state.down.dataset.key) {
      released.click();
    }
    state.down = null;
  });

  // What was folded out is so again after its card was drawn anew.
  document.addEventListener(
    "toggle",
    (event) => {
      const key = event.target instanceof Element ? event.target.dataset.key : undefined;
      if (key === undefined) return;
      if (event.target.open) state.open.add(key);
      else state.open.delete(key);
    },
    true,
  );

  /* What went wrong with a button is said after it, not where the program puts it, which may be out of sight. */
  function beside() {
    const pressed = state.pressed && one(`.cc-do[data-key="${CSS.escape(state.pressed)}"]`);
    all(".cc-pressed").forEach((button) => button !== pressed && button.classList.remove("cc-pressed"));
    if (pressed && !pressed.classList.contains("cc-pressed")) pressed.classList.add("cc-pressed");
    const said = one("#cc-problem .cs-error");
    const here = one(".cc-here");
    const past = said?.dataset.past !== undefined;
    if (said) said.hidden = past || Boolean(pressed);
    if (here && (!said || past || here.previousElementSibling !== pressed)) here.remove();
    if (!said || past || !pressed || one(".cc-here")) return;
    const copy = said.cloneNode(true);
    copy.classList.add("cc-here");
    copy.dataset.key = "what went wrong";
    copy.hidden = false;
    if (said.dataset.copied === undefined) delete copy.dataset.seen;
    said.dataset.copied = said.dataset.seen = "";
    pressed.after(copy);
  }

  function settle() {
    all(".cc-sure").forEach((box) => {
      if (!state.asked || box.dataset.of !== state.asked) box.remove();
    });
    all(".cc-do[data-sure]").forEach((button) => {
      const asked = button.dataset.key === state.asked;
      button.hidden = asked;
      if (asked && !button.parentElement.querySelector(".cc-sure")) {
        const box = sure(button);
        box.dataset.of = state.asked;
        button.after(box);
      }
    });
    one("#cc-command textarea, #cc-command input")?.setAttribute("tabindex", "-1"); // nobody sees it
    one("#cc-command")?.setAttribute("aria-hidden", "true");
    beside();
    all("details[data-key]").forEach((each) => {
      if (state.open.has(each.dataset.key) && !each.open) each.open = true;
    });
    const pages = one("#cc-pages section");
    if (pages && pages !== state.pages) {
      state.pages = pages;
      if (state.up) one("#cc-heading")?.scrollIntoView({ behavior: "auto", block: "start" });
      state.up = false;
    }
  }

  settled(settle);
})();
