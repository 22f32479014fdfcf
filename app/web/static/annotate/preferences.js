/* Annotation: what somebody prefers, yes or no, kept in their browser. */
(() => {
  "use strict";
  function remembered(name, usual) {
    try {
      return (localStorage.getItem(name) ?? (usual ? "yes" : "no")) === "yes";
    } catch {
      return usual;
    }
  }

  function remember(name, yes) {
    try {
      localStorage.setItem(name, yes ? "yes" : "no");
    } catch {
      // Then it is so until the page is left.
    }
    return yes;
  }

  window.citesight.preferences = { remembered, remember };
})();
