/* A conversation outlives its page: the server keeps it by an id that it makes, in the address behind the #, where no
   server and no other site is told of it. After a reload, one's own or Gradio's when a connection comes back, it is
   asked for. While another page is open, which the address says then, the tab remembers the id. */
(() => {
  "use strict";
  const { all, one, settled } = window.citesight;
  const TYPED = "citesight-question"; // what was typed and perhaps never asked
  const ID = "citesight-conversation"; // of the conversation that is on the page
  const SHOWN = "citesight-shown"; // what of it was on the page when that was left, should the server have forgotten it
  const TABS = { "#corpora": "Corpora", "#annotate": "Annotate" }; // any other address is the Ask page's
  // A link of whoever invites leads to that page, whatever else the address says.
  const invited = new URLSearchParams(location.search).has("invitation");
  if (invited) history.replaceState(history.state, "", `${location.pathname}${location.search}#annotate`);
  const PLACES = ["answer", "evidence", "earlier", "figure"];
  const state = { asked: "", named: false, opened: false };

  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#cs-question")) sessionStorage.setItem(TYPED, event.target.value);
  });

  const inAddress = () => /^#c=([0-9a-f]{32})$/.exec(location.hash)?.[1] ?? "";
  const remembered = () => sessionStorage.getItem(ID) ?? "";

  // The conversation's id, as the address has it, and what was typed last.
  window.conversation = () => {
    state.asked = location.hash in TABS ? remembered() : inAddress();
    return [state.asked, sessionStorage.getItem(TYPED) ?? ""];
  };

  // The server has given the conversation an id: another one is another entry of the history, but not in place of one
  // that the server has forgotten.
  window.named = (id) => {
    if (!id) return;
    sessionStorage.setItem(ID, id);
    const how = state.named ? "pushState" : "replaceState";
    state.named = true;
    if (id !== inAddress() && !(location.hash in TABS)) history[how](history.state, "", `#c=${id}`);
  };

  addEventListener("pagehide", () => {
    const here = Object.fromEntries(
      PLACES.map((place) => [place, one(`#cs-${place} :is(.cs-panel:not(.cs-empty), .cs-${place})`)?.outerHTML ?? ""]),
    );
    here.question = one("#cs-question textarea")?.value ?? "";
    try {
      sessionStorage.removeItem(SHOWN);
      if (here.answer) sessionStorage.setItem(SHOWN, JSON.stringify({ ...here, id: remembered() }));
    } catch {
      // The browser keeps no more; the server may.
    }
  });

  // The question and what stands in PLACES, where the server has nothing to show of what the page did.
  window.shownBefore = (question, answer) => {
    const before = JSON.parse(sessionStorage.getItem(SHOWN) ?? "{}");
    if (!before.answer || before.id !== state.asked || !answer.includes("cs-empty")) return null;
    return [question || before.question, ...PLACES.map((place) => before[place])];
  };

  /* The address says which page is open, so that reloading stays there; each is an entry of the history. */
  const named = (tab) => tab.textContent.trim();
  const tab = () => all('button[role="tab"]').find((each) => named(each) === (TABS[location.hash] ?? "Ask"));
  document.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element ? event.target.closest('button[role="tab"]') : null;
    if (!pressed) return;
    const own = Object.keys(TABS).find((hash) => TABS[hash] === named(pressed));
    const place = own ?? (remembered() && `#c=${remembered()}`);
    if (place !== location.hash) history.pushState(history.state, "", location.pathname + location.search + place);
  });
  settled(() => {
    if (state.opened || !tab()) return;
    state.opened = true;
    if (location.hash in TABS) tab().click();
  });

  // A step in the history, or somebody has put another conversation's address into this tab.
  addEventListener("hashchange", () => {
    if (!(location.hash in TABS) && inAddress() !== remembered()) location.reload();
    else if (tab()?.getAttribute("aria-selected") !== "true") tab()?.click();
  });
})();
