/* The focus stays with those who have no mouse: where what had it is drawn anew, hidden or gone, it goes on to the same
   thing, to what took its place, or to the nearest thing that is left, and never to the top of the page. Escape leaves
   what is open, else it stops an answer. */
(() => {
  "use strict";
  const { one, asking, say, settled } = window.citesight;
  const FOCUSABLE = "a[href], button, input, textarea, select, summary, [tabindex]:not([tabindex='-1'])";
  // What had the focus last: its key or place, and what it lies in, from the inside out. null: nothing, by a click.
  const state = { last: null, docs: false };

  const shown = (element) => Boolean(element?.isConnected && element.checkVisibility({ visibilityProperty: true }));
  const usable = (element) => shown(element) && !element.disabled && element.tabIndex >= 0;

  function remembered(element) {
    const around = [];
    for (let each = element; each && each !== document.body; each = each.parentElement) around.push(each);
    const root = around.find((each) => each !== element && each.id);
    const kind = element.classList[0] ? `.${CSS.escape(element.classList[0])}` : "";
    const rank = element.dataset.rank ? `[data-rank="${CSS.escape(element.dataset.rank)}"]` : "";
    const name = element.localName + kind + rank;
    const found = root ? Array.from(root.querySelectorAll(name)).indexOf(element) : -1;
    return { id: element.id, key: element.dataset.key, root: root?.id, name, found, around };
  }

  function same({ id, key, root, name, found }) {
    if (key) return one(`[data-key="${CSS.escape(key)}"]`);
    if (id) return document.getElementById(id);
    return root ? document.getElementById(root)?.querySelectorAll(name)[Math.max(0, found)] : null;
  }

  // What takes the place of a button that its own press hides.
  function successor({ around: [element] }) {
    const within = (selector) => element.closest(selector);
    if (within("#cs-ask, .cs-try")) return one("#cs-stop");
    if (within("#cs-stop, .cs-retry")) return usable(one("#cs-stop")) ? one("#cs-stop") : one("#cs-ask");
    // On a phone the question would bring up the keyboard.
    if (within("#cs-new")) return one(matchMedia("(pointer: fine)").matches ? "#cs-question textarea" : "#cs-ask");
    if (within(".cs-figure")) return one("#cs-photo button:not([tabindex='-1'])");
    if (within(".api-docs")) return one(".show-api");
    return null;
  }

  function nearest({ around }) {
    for (const each of around.slice(1)) {
      const inside = shown(each) && Array.from(each.querySelectorAll(FOCUSABLE)).find(usable);
      if (inside) return inside;
    }
    return null;
  }

  document.addEventListener("focusin", (event) => {
    if (event.target instanceof Element) state.last = remembered(event.target);
  });
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (event.target instanceof Element && !event.target.closest(`${FOCUSABLE}, label`)) state.last = null;
    },
    true,
  );

  // Gradio names its boxes for files otherwise than they are labelled; what is to be read in them is their name.
  function label() {
    document.querySelectorAll("button[aria-dropeffect]").forEach((box) => {
      if (box.textContent.trim()) box.removeAttribute("aria-label");
    });
  }

  // What it gives no name, list or key to in its description of the interface.
  function describe(docs) {
    docs.querySelectorAll("button:not([aria-label])").forEach((button) => {
      if (button.textContent.trim()) return;
      button.setAttribute("aria-label", say(button.closest(".banner-wrap") ? "script.close" : "script.copy"));
    });
    docs.querySelectorAll("li").forEach((item) => {
      if (!item.closest("ul, ol, [role=list]")) item.parentElement.setAttribute("role", "list");
    });
    docs.querySelectorAll("pre:not([tabindex])").forEach((code) => (code.tabIndex = 0));
  }

  settled(() => {
    const docs = one(".api-docs");
    label();
    if (docs) describe(docs);
    const close = docs?.querySelector(".banner-wrap > button");
    if (close && !state.docs) close.focus();
    state.docs = Boolean(close);
    const held = document.activeElement;
    if (!state.last || (held && held !== document.body && shown(held))) return;
    const next = [same(state.last), successor(state.last), nearest(state.last)].find((each) => usable(each));
    next?.focus({ preventScroll: true });
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (event.target instanceof Element && event.target.matches("[aria-expanded=true]")) return; // a list of choices
    const [docs, main] = [one(".api-docs .banner-wrap > button"), one("#cs-main")];
    if (docs) {
      docs.click();
    } else if (!asking()) {
      return;
    } else if (one(".cs-panel[aria-busy]")) {
      one("#cs-stop")?.click();
    } else if (main?.classList.contains("cs-choosing") && one(".cs-figure")) {
      main.classList.remove("cs-choosing");
      one(".cs-change")?.focus();
    }
  });
})();
