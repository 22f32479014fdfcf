/* A conversation outlives its page: the server keeps it by an id that it makes, in the address behind the #, where no
   server and no other site is told of it. After a reload, one's own or Gradio's when a connection comes back, it is
   asked for. */
(() => {
  "use strict";
  const { ended } = window.citesight;

  const TYPED = "citesight-question"; // what was typed and perhaps never asked
  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#cs-question")) sessionStorage.setItem(TYPED, event.target.value);
  });

  // The conversation's id, as the address has it, and what was typed last.
  window.conversation = () => [shown(), sessionStorage.getItem(TYPED) ?? ""];

  const shown = () => /^#c=([0-9a-f]{32})$/.exec(location.hash)?.[1] ?? "";

  // The server has given the conversation an id: another one is another entry of the history.
  window.named = (id) => {
    if (!id || id === shown()) return;
    history[shown() ? "pushState" : "replaceState"](history.state, "", `#c=${id}`);
  };

  // Somebody has put another conversation's address into this tab.
  addEventListener("hashchange", () => location.reload());

  /* The connection was lost, or the server ended, while an answer was coming. */
  window.brokenOff = () =>
    ended(
      "The answer was broken off; what is here is not all of it.",
      "The answer was broken off before its first word.",
    );
})();
