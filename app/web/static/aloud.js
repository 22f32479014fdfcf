/* Reads the answer aloud, where the browser can: once on a press, until the next press, or until something else is asked.
   The marks of its sources are left out. */
(() => {
  "use strict";
  const { one, say, settled } = window.citesight;
  const voices = window.speechSynthesis;
  const state = { said: null }; // the paragraph that is being read
  if (!voices || !window.SpeechSynthesisUtterance) return;

  function words(paragraph) {
    const copy = paragraph.cloneNode(true);
    copy.querySelectorAll(".cs-cite, .cs-tag").forEach((mark) => mark.remove());
    return copy.textContent.replace(/\s+([.,;:!?])/g, "$1").trim();
  }

  function stop() {
    state.said = null;
    voices.cancel();
    name();
  }

  function read(paragraph) {
    voices.cancel();
    const spoken = new SpeechSynthesisUtterance(words(paragraph));
    if (paragraph.lang) spoken.lang = paragraph.lang;
    spoken.onend = spoken.onerror = () => {
      if (state.said !== paragraph) return;
      state.said = null;
      name();
    };
    state.said = paragraph;
    voices.speak(spoken);
    name();
  }

  // The button below the answer that is whole: made here, so that there is none where nothing can be read.
  function name() {
    const paragraph = one(".cs-panel:not([aria-busy]) .cs-said");
    const foot = one(".cs-panel:not([aria-busy]) .cs-foot");
    if (!paragraph || !foot) return;
    let button = foot.querySelector(".cs-aloud");
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "cs-send cs-aloud";
      foot.insertBefore(button, foot.querySelector(".cs-send"));
    }
    const text = say(state.said ? "script.stop_reading" : "script.read_aloud");
    if (button.textContent !== text) button.textContent = text;
    button.setAttribute("aria-pressed", String(state.said !== null));
  }

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest(".cs-aloud")) return;
    if (state.said) stop();
    else read(one(".cs-panel .cs-said"));
  });
  addEventListener("pagehide", () => voices.cancel());

  settled(() => {
    if (state.said && !state.said.isConnected) stop(); // something else is asked
    name();
  });
})();
