/* What the page's scripts share: finding things, saying things, and being told that the page has changed. Gradio
   replaces the contents of its components whenever they change, so nothing is kept hold of: it is looked up anew. */
window.citesight = (() => {
  "use strict";
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);
  // Whether the Ask page is the one that is open.
  const asking = () => (one('button[role="tab"][aria-selected="true"]')?.textContent.trim() ?? "Ask") === "Ask";

  // For those who hear the page.
  function announce(text) {
    let region = one("#cs-announce");
    if (!region) {
      region = document.createElement("div");
      region.id = "cs-announce";
      region.className = "cs-sr";
      region.setAttribute("aria-live", "polite");
      document.body.append(region);
    }
    region.textContent = text;
  }

  // No more will come of the answer that is being written: says why below what it has said, or in its place before that.
  function ended(partly, unbegun) {
    const panel = one(".cs-panel[aria-busy]");
    if (!panel) return;
    panel.removeAttribute("aria-busy");
    const note = document.createElement("p");
    note.className = "cs-note";
    note.textContent = panel.querySelector(".cs-said") ? partly : unbegun;
    if (panel.classList.contains("cs-working")) panel.replaceChildren(note);
    else panel.append(note);
    announce(note.textContent);
  }

  // Each listener is called after the page, or what a script knows, has changed, once a frame at most, in the order they
  // came.
  const listeners = [];
  let waiting = false;
  function changed() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      listeners.forEach((listener) => listener());
    });
  }
  new MutationObserver(changed).observe(document.documentElement, { childList: true, subtree: true });

  const photos = one("meta[name=cs-photos]")?.content ?? "image/*"; // what a chooser of photographs offers
  return { all, one, asking, announce, ended, changed, photos, settled: (listener) => listeners.push(listener) };
})();
