/* Annotation: what was said lately, and what an undo takes back, so that it is shown before the server answers. Knows
   nothing of what was said before the page was opened, nor of how anything is shown. */
(() => {
  "use strict";
  /* Entries have an item, a candidate (null: the item itself) and `before`: what held then, undefined where nobody here
     knows. */
  function lately() {
    const entries = []; // newest last
    const undoing = new Map(); // by the number of the undo, which the server has not answered yet
    const about = (entry, now) => entry?.item === now.item && entry.candidate === now.candidate;
    return {
      said: (item, candidate, before) => entries.push({ item, candidate, before }),
      last: () => entries.pop(),
      undo: (id, entry) => undoing.set(id, entry),
      // What it took back here; where the server took back something else, all before it is not known any more.
      answered(id, now) {
        const entry = undoing.get(id);
        undoing.delete(id);
        const same = !entry || (now && about(entry, now));
        if (!same) entries.length = 0;
        return { entry, same };
      },
      // Whether an undo that is shown already takes it back again.
      undone: (now) => [...undoing.values()].some((entry) => about(entry, now)),
      undoneElsewhere: (now) => about(entries.at(-1), now) ? entries.pop() : (entries.length = 0),
    };
  }

  window.citesight.lately = lately;
})();
