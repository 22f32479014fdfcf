/* A conversation outlives its page: the server keeps it by an id in the address, behind the #, where no server and no
   other site is told of it. After a reload, one's own or Gradio's when a connection comes back, it is asked for. */
(() => {
  "use strict";
  const { one, announce } = window.citesight;

  const TYPED = "citesight-question"; // what was typed and perhaps never asked
  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#cs-question")) sessionStorage.setItem(TYPED, event.target.value);
  });

  // The conversation's id and what was typed last.
  window.conversation = () => [identity(), sessionStorage.getItem(TYPED) ?? ""];

  function identity() {
    const known = /^#c=([0-9a-f]{32})$/.exec(location.hash);
    if (known) return known[1];
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const made = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    history.replaceState(history.state, "", `#c=${made}`);
    return made;
  }

  // Somebody has put another conversation's address into this tab.
  addEventListener("hashchange", () => location.reload());

  /* The connection was lost, or the server ended, while an answer was coming. */
  window.brokenOff = () => {
    const panel = one(".cs-panel[aria-busy]");
    if (!panel) return;
    panel.removeAttribute("aria-busy");
    const note = document.createElement("p");
    note.className = "cs-note";
    note.textContent = panel.querySelector(".cs-said")
      ? "The answer was broken off; what is here is not all of it."
      : "The answer was broken off before it began.";
    announce(note.textContent);
    if (panel.classList.contains("cs-working")) panel.replaceChildren(note);
    else panel.append(note);
  };
})();
