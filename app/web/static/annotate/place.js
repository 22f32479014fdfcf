/* Annotation: where one is, as the page's address has it: a page of the tab, a project, an item of it. So a reload and the
   browser's Back lead there, and so does the address sent to somebody else, who may see there what they may see anyway.
   What stands in it may be anybody's words. */
(() => {
  "use strict";
  const { address } = window.citesight;
  const TAB = "#annotate";
  const PLACE = /^#annotate\/(judge|projects|people)(?:\/([A-Za-z0-9][A-Za-z0-9._@-]{0,63})(?:\/(\d{1,15}|compare))?)?$/;
  const at = { shown: "", opened: () => {} };

  /* page: judge, projects or people; project: a name, or ""; part: the number that an item has on the page, "compare",
     or "". */
  function here() {
    const [, page = "judge", project = "", part = ""] = PLACE.exec(address.within(TAB)) ?? [];
    return { page, project, part };
  }

  const written = ({ page, project = "", part = "" }) =>
    page === "judge" && !project ? TAB : [TAB, page, project, part].filter(Boolean).join("/");

  /* Says in the address where one is by now. */
  function put(place, how = "pushState") {
    at.shown = written(place);
    address.put(at.shown, how);
  }

  function go(place, how) {
    put(place, how);
    at.opened(here());
  }

  /* A step in the history, or another address put into this one. */
  addEventListener("hashchange", () => {
    if (!address.leads(TAB) || written(here()) === at.shown) return;
    at.shown = written(here());
    at.opened(here());
  });

  window.citesight.place = {
    here: () => ((at.shown = written(here())), here()),
    address: written,
    put,
    go,
    opened: (listener) => (at.opened = listener),
  };
})();
