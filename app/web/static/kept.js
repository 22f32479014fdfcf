/* A conversation outlives its page: the server keeps it by an id that it makes, in the address behind the #, where no
   server and no other site is told of it. After a reload, one's own or Gradio's when a connection comes back, it is
   asked for. While another page is open, which the address says then, the tab remembers the id. */
(() => {
  "use strict";
  const { all, one, settled } = window.citesight;
  const TYPED = "citesight-question"; // what was typed and perhaps never asked
  const ID = "citesight-conversation"; // of the conversation that is on the page
  const SHOWN = "citesight-shown"; // what of it was on the page when that was left, should the server have forgotten it
  const TABS = { "#corpora": "tab-corpora", "#annotate": "tab-annotate" }; // any other address is the Ask page's
  const tabOf = (place) => (place.split("/")[0] in TABS ? place.split("/")[0] : ""); // "#annotate" of "#annotate/judge"
  const left = {}; // where within each tab one was when another was opened
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
    state.asked = tabOf(location.hash) ? remembered() : inAddress();
    return [state.asked, sessionStorage.getItem(TYPED) ?? ""];
  };

  // The server has given the conversation an id: another one is another entry of the history, but not in place of one
  // that the server has forgotten.
  window.named = (id) => {
    if (!id) return;
    sessionStorage.setItem(ID, id);
    const how = state.named ? "pushState" : "replaceState";
    state.named = true;
    if (id !== inAddress() && !tabOf(location.hash)) history[how](history.state, "", `#c=${id}`);
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

  /* The address says which page is open, so that reloading stays there; each is an entry of the history. A page may say
     in it where within itself one is. */
  const named = (tab) => tab.id.replace(/-button$/, "");
  const tab = () => all('button[role="tab"]').find((each) => named(each) === (TABS[tabOf(location.hash)] ?? "tab-ask"));
  document.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element ? event.target.closest('button[role="tab"]') : null;
    if (!pressed) return;
    const own = Object.keys(TABS).find((hash) => TABS[hash] === named(pressed)) ?? "";
    const place = own ? (left[own] ?? own) : remembered() && `#c=${remembered()}`;
    if (own ? own === tabOf(location.hash) : place === location.hash) return;
    left[tabOf(location.hash)] = location.hash;
    write(place, "pushState");
  });
  settled(() => {
    if (state.opened || !tab()) return;
    state.opened = true;
    if (tabOf(location.hash)) tab().click();
  });

  // A step in the history, or somebody has put another conversation's address into this tab.
  addEventListener("hashchange", (event) => {
    const before = new URL(event.oldURL).hash;
    if (tabOf(before) !== tabOf(location.hash)) left[tabOf(before)] = before;
    if (!tabOf(location.hash) && inAddress() !== remembered()) location.reload();
    else if (tab()?.getAttribute("aria-selected") !== "true") tab()?.click();
  });

  const write = (place, how) => history[how](history.state, "", location.pathname + location.search + place);

  window.citesight.address = {
    // Whether a tab is the one that the address leads to; where within it one is, or was when another was opened.
    leads: (own) => tabOf(location.hash) === own,
    within: (own) => (tabOf(location.hash) === own ? location.hash : (left[own] ?? own)),
    // how: pushState or replaceState. Of a tab that is not open, for when it is.
    put(place, how) {
      if (tabOf(location.hash) !== tabOf(place)) left[tabOf(place)] = place;
      else if (place !== location.hash) write(place, how);
    },
  };
})();
