/* What is wanted of the server: an answer is asked for, stopped, or left when something else is begun. */
(() => {
  "use strict";
  const { one, say, announce, ended, changed, settled } = window.citesight;
  // anew: nothing was asked since something else was begun; chosen: a photo was, just now; uploading: it is; beginning: the
  // server does not know of it yet; early: a question was asked meanwhile; told: what is said next to those who hear;
  // same: nothing was changed since a question was asked, which is not answered yet; when: it was, in milliseconds.
  // refused: the timer after which a file that was chosen counts as that.
  const state = {
    stopped: false, anew: false, chosen: false, uploading: false, beginning: false, early: false, told: "",
    same: false, when: 0, refused: 0,
  };
  const REFUSED = 3_000; // milliseconds, many more than a busy machine takes
  const SOON = 10_000; // milliseconds in which the page shows, on a busy machine too, that it is at work or that it is not

  window.asking = (number) => {
    state.stopped = state.anew = false;
    return number + 1;
  };

  /* Stopping: the server ends the work; what has been said stays, and the page says that it was stopped.
     later: when it has ended, by which time the next question may be waiting here for its first word. */
  window.stopped = (later = false) => {
    state.same = false;
    if (later && !state.stopped) return;
    state.stopped = true;
    ended(say("script.stopped_partly"), say("script.stopped"));
  };

  /* The connection was lost, or the server ended, while an answer was coming. */
  window.brokenOff = () => {
    state.same = false;
    ended(say("script.broken_partly"), say("script.broken"));
  };

  window.beginAnew = () => {
    state.anew = state.beginning = true;
    state.chosen = state.same = false;
  };
  window.begunAnew = () => state.anew;
  window.beginning = () => state.beginning;
  // The server knows of it. told: the text that those who hear the page are told if there is a photo. ask: whether to, now.
  window.begun = (told = "", ask = false) => {
    state.beginning = false;
    state.early ||= ask;
    state.told = told;
    changed(); // what has waited for this goes on, once the page shows what the server said
  };

  const coming = () => state.chosen || state.uploading || state.beginning;

  // Until what Gradio does next with a photo: shows that it uploads it, then has something begun anew. Where it does
  // neither, it has refused the file.
  function soon() {
    state.chosen = true;
    clearTimeout(state.refused);
    state.refused = setTimeout(() => {
      state.chosen = false;
      changed();
    }, REFUSED);
  }

  function chosen(event) {
    if (event.target.matches?.("#cs-photo input[type=file]") && event.target.files.length) soon();
  }
  addEventListener("change", chosen, true);

  function altered(event) {
    // Enter in the question has the browser say afterwards that it was changed, as it said at every key.
    if (event.type === "input" || !event.target.closest?.("#cs-question")) state.same = false;
  }
  ["input", "change"].forEach((type) => addEventListener(type, altered, true));
  const twice = () => state.same && (performance.now() - state.when < SOON || one(".cs-panel[aria-busy]") !== null);

  // What is asked while the photo is on its way is asked when it is there; what is being answered is not asked again.
  function early(event) {
    if (event.target.closest?.(".cs-retry")) state.same = false;
    if (event.type === "click" && event.target.closest?.("#cs-stop")) {
      if (event.detail > 1) event.stopImmediatePropagation(); // the second click of two on Ask
      else state.early = false; // nothing is asked any more that was to be asked
    }
    if (!event.target.closest?.(event.type === "click" ? "#cs-ask" : "#cs-question")) return;
    if (event.type === "keydown" && (event.key !== "Enter" || event.shiftKey || event.isComposing)) return;
    if (!coming() && !twice()) {
      // Here, since Gradio does what is asked of it only when it comes to it, and a second click may be before that.
      state.same = true;
      state.when = performance.now();
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!coming()) return;
    state.early = true;
    announce(say("script.asked_soon"));
  }
  ["click", "keydown"].forEach((type) => addEventListener(type, early, true));

  function askEarly() {
    if (!state.early || coming()) return;
    state.early = false;
    if (!one("#cs-unfit [role=alert]")) one("#cs-ask").click(); // else there is nothing to ask about
  }

  settled(() => {
    const before = state.uploading;
    state.uploading = one("#cs-photo .uploading") !== null;
    if (state.uploading) state.chosen = false;
    if (before && !state.uploading && !state.beginning) soon();
    if (state.told && one("#cs-photo img")) announce(say(state.told));
    state.told = "";
    askEarly();
    if (state.stopped) window.stopped(); // words that were on their way have come after it
  });
})();
