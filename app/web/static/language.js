/* The page's language: what is said of it, what Python has left to be put into it, and the choice of another one. Which
   it is the server decides, by what was chosen here or by what the browser prefers (app/web/languages.py). */
(() => {
  "use strict";
  const { all, one, say, settled } = window.citesight;
  const [language, direction] = [say("language"), say("direction")];
  const YEAR = 31_536_000; // seconds

  // Gradio's own names, which are English, and its words, which are in the browser's language.
  const NAMES = {
    "#cs-photo [aria-label='Upload file']": "script.upload_photo",
    "#cs-photo [aria-label='Capture from camera']": "script.take_photo",
    "#cs-photo [aria-label='Paste from clipboard']": "script.paste_photo",
  };

  function name() {
    for (const [selector, key] of Object.entries(NAMES)) {
      all(selector).forEach((button) => button.setAttribute("aria-label", say(key)));
    }
    words("footer .show-api", [say("script.use_by_api")]);
    words("#cc-files [data-testid='upload-text']", [say("script.drop_files"), say("script.or"), say("script.choose_files")]);
  }

  // Puts the pieces of a text in the place of those that stand somewhere, where they are as many.
  function words(selector, said) {
    const place = one(selector);
    if (!place) return;
    const walk = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walk.nextNode()) if (walk.currentNode.nodeValue.trim()) found.push(walk.currentNode);
    if (found.length !== said.length) return;
    found.forEach((piece, at) => {
      if (piece.nodeValue.trim() !== said[at]) piece.nodeValue = ` ${said[at]} `;
    });
  }

  function settle() {
    const page = document.documentElement;
    if (page.lang !== language) page.lang = language; // Gradio writes there what it takes the browser's for
    if (page.dir !== direction) page.dir = direction;
    all("[data-say]").forEach((place) => {
      if (place.textContent !== say(place.dataset.say)) place.textContent = say(place.dataset.say);
    });
    name();
    const choice = one(".cs-language select");
    if (choice && choice.dataset.shown === undefined) {
      choice.dataset.shown = "";
      choice.value = language;
    }
  }

  document.addEventListener("change", (event) => {
    if (!(event.target instanceof Element) || !event.target.matches(".cs-language select")) return;
    const framed = window.top !== window && location.protocol === "https:"; // as a Space is
    const how = framed ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
    document.cookie = `citesight-language=${event.target.value}; Max-Age=${YEAR}; Path=${location.pathname}; ${how}`;
    location.reload();
  });

  settle();
  settled(settle);
})();
