/* Annotation: what is said of an item, undone, and heard from other tabs and machines; the same is shown in all of them.
   Knows nothing of keys, nor of how an item is drawn. */
(() => {
  "use strict";
  const { announce, say } = window.citesight;
  const { ask, say: send, top, told, here, waiting, queued, hopeless } = window.citesight.server;

  /* at: what the page shows (work.js); the others do what their names say with it. */
  window.citesight.saying = (at, { load, choose, keep, stay, progress, failed }) => {
    let past = window.citesight.lately();

    /* candidate: null where it is said of the whole item. before: what held of it. */
    function said(item, candidate, changes, before) {
      stay();
      at.said += 1;
      past.said(item.id, candidate, before);
      send("judge", { project: at.project.name, item: item.id, candidate, ...changes });
    }

    /* Put aside. */
    function skipped(reason) {
      past.said(at.item.id, null, at.item.said ?? null);
      send("skip", { project: at.project.name, item: at.item.id, reason });
    }

    /* Shown at once where it is known what it takes back; else once the server has told. */
    function undo() {
      keep();
      stay();
      at.said += 1;
      const entry = past.last();
      const known = entry?.before !== undefined;
      const id = send("undo", { project: at.project.name });
      at.asked = { id, said: at.said, current: at.current };
      if (!known) return;
      past.undo(id, entry);
      if (entry.item === at.item.id) takeBack(entry);
      else load({ item: entry.item }, entry.candidate);
    }

    function takeBack({ candidate, before }) {
      const place = at.cards.findIndex((card) => card.candidate.id === candidate);
      if (place >= 0) {
        at.cards[place].set(before);
      } else {
        at.item.said = before;
        at.frame(before?.region ?? null);
      }
      if (place >= 0) choose(place, true);
      progress();
      announce(say("annotate.undone_of", { what: at.cards[place]?.whole.getAttribute("aria-label") ?? say("annotate.of_item") }));
    }

    /* How far the person is by the server, which does not know what is not saved yet. */
    function counts(got) {
      at.mine = got.mine;
      at.done = Boolean(got.item?.candidates.every((each) => each.said?.grade));
    }

    /* What was said of an item and has not reached the server yet. */
    function addQueued(item) {
      queued(at.project.name, item.id).forEach(({ candidate, ...changes }) => {
        const of = candidate === null ? item : item.candidates.find((each) => each.id === candidate);
        if (of) of.said = { ...of.said, ...changes };
      });
    }

    /* What comes next depends on what was said; so it waits for that, but not for ever where there is no connection. */
    async function sentAll() {
      const until = Date.now() + 3_000;
      while (waiting().count && !waiting().problem && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
    }

    told((what, op, came) => {
      if (!at.project || op?.told?.project !== at.project.name) return;
      const now = came?.said; // what holds by now
      const shown = now && at.item?.id === now.item;
      if (shown) finished(came.done);
      if (now && !here(op)) noted(what, now, shown);
      const { entry, same } = past.answered(op.id, now);
      if (shown && !past.undone(now)) seen(now);
      if (!here(op)) return;
      if (!same) refresh();
      else if (what === "undone" && !entry) undone(op, now, shown);
      else if (what === "refused" && at.item?.id === op.told.item) {
        at.refused = came;
        load({ item: at.item.id }, op.told.candidate);
      }
    });

    /* What was said in another tab can be undone here. */
    function noted(what, now, shown) {
      if (what === "undone") return past.undoneElsewhere(now);
      const of = now.candidate === null ? at.item : at.cards.find((card) => card.candidate.id === now.candidate)?.candidate;
      past.said(now.item, now.candidate, shown && of ? (of.said ?? null) : undefined);
    }

    /* Shows what the server has, with what is not saved yet. What is being typed here stays. */
    function seen(saved) {
      const waits = queued(at.project.name, at.item.id).filter((each) => each.candidate === saved.candidate);
      const now = Object.assign({}, saved, ...waits);
      if (now.candidate === null) {
        at.item.said = now;
        at.frame(now.region ?? null);
      }
      at.cards.find((card) => card.candidate.id === now.candidate)?.set(now);
      progress();
    }

    /* Shows what was said elsewhere while nobody looked here, perhaps on another machine. */
    async function refresh() {
      const { item, view, loading, said: before } = at;
      if (document.hidden || !item || at.busy) return;
      let got;
      try {
        await sentAll();
        got = await ask("item", { project: at.project.name, item: item.id });
      } catch (refused) {
        if (hopeless(refused) && at.view === view && at.item === item) failed(refused);
        return; // else what is there can be gone on with
      }
      if (at.view !== view || at.loading !== loading) return;
      if (at.said !== before) return refresh(); // that was not the last
      const numbers = (of) => String(of.candidates.map((each) => each.id));
      if (numbers(got.item) !== numbers(item)) {
        load({ item: item.id }, at.cards[at.current]?.candidate.id);
        return;
      }
      counts(got);
      top(at.project.name, got.top);
      addQueued(got.item);
      seen({ ...got.item.said, candidate: null });
      got.item.candidates.forEach((each) => seen({ ...each.said, candidate: each.id }));
    }
    document.addEventListener("visibilitychange", refresh);

    function finished(done) {
      at.mine.done += Number(done) - Number(at.done);
      at.done = done;
      progress();
    }

    /* An undo of what nobody here knew of leads to it, unless one has gone on meanwhile. */
    function undone(op, now, shown) {
      const { id, said, current } = at.asked ?? {};
      if (!now) announce(say("annotate.nothing_undo"));
      else if (id !== op.id || said !== at.said || current !== at.current) announce(say("annotate.undone"));
      else if (shown) takeBack({ candidate: now.candidate, before: now });
      else load({ item: now.item }, now.candidate);
    }

    return { begin: () => (past = window.citesight.lately()), said, skipped, undo, counts, addQueued, sentAll };
  };
})();
