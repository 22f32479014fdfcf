/* What the page's scripts share: finding things, saying things, and being told that the page has changed. Gradio
   replaces the contents of its components whenever they change, so nothing is kept hold of: it is looked up anew. */
window.citesight = (() => {
  "use strict";
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);
  // Whether the Ask page is the one that is open.
  const asking = () => (one('button[role="tab"][aria-selected="true"]')?.id || "tab-ask-button") === "tab-ask-button";

  // The page's texts in its language, which came with it (app/web/languages.py), filled with values.
  const texts = window.gradio_config?.i18n_translations?.en ?? {};
  const language = texts.language ?? "en";
  const rtl = texts.direction === "rtl";
  const locale = language === "en" ? "en-GB" : `${language}-u-nu-latn`;
  const forms = new Intl.PluralRules(language);
  // What is said within a text from the right keeps its own direction; what has such things in it is such a text itself.
  const apart = (said) => (rtl ? `${String(said).includes("\u2068") ? "\u2067" : "\u2068"}${said}\u2069` : String(said));
  const filled = (text, values) =>
    text.replace(/\{(\w+)\}/g, (whole, name) => (values[name] === undefined ? whole : apart(values[name])));
  const say = (key, values = {}) => filled(texts[key] ?? key, values);

  // A number with so many decimal places, and a text in the form for so many, which may say {count}. From the right
  // numbers are written as in English, without the signs of direction that browsers put into negative ones.
  const number = (value, places = 0) =>
    value.toLocaleString(rtl ? "en" : locale, { minimumFractionDigits: places, maximumFractionDigits: places });
  const counted = (key, count, values = {}) => {
    const of = texts[key] ?? {};
    return filled(of[forms.select(count)] ?? of.other ?? key, { count: number(count), ...values });
  };

  // For those who hear the page. What is pressed next has other things to tell, so that nothing old is read then.
  const forget = (event) => {
    const region = one("#cs-announce");
    if (region && (event.type === "pointerdown" || event.key === "Enter" || event.key === " ")) region.textContent = "";
  };
  ["pointerdown", "keydown"].forEach((type) => addEventListener(type, forget, true));
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
  const texted = { say, counted, number, locale, apart };
  return { all, one, asking, ...texted, announce, ended, changed, photos, settled: (listener) => listeners.push(listener) };
})();
