/* Annotation: judging the items of a project, by keys or by mouse. What is said is shown at once and handed to the
   queue (server.js), which saves it. */
(() => {
  "use strict";
  const { announce } = window.citesight;
  const { place } = window.citesight;
  const { ask, say, top, told, here, waiting, queued, hopeless } = window.citesight.server;
  const { h, button, field, form, problem, counted } = window.citesight.draw;
  const { remembered, remember } = window.citesight.preferences;
  const NARROW = matchMedia("(max-width: 820px)").matches;
  const ONE = "citesight-one-at-a-time";
  const RETRY = 3_000; // milliseconds, where the server could not be reached
  // loading: how often something was; busy: it is now, and what is on the screen is not to be judged any more; said: how
  // often something was said here.
  const at = { project: null, item: null, cards: [], current: 0, view: null, parts: {}, loading: 0, busy: false, timer: 0, said: 0 };

  const set = { one: remembered(ONE, NARROW) };

  /* The view of a project's work, in `view`. position: of the item to begin with; 0: the next one. */
  async function open(view, project, position) {
    close();
    at.view = view;
    view.replaceChildren(h("p", { class: "ca-faint" }, "Loading …"));
    const found = await ask("project", { project });
    if (at.view !== view) return;
    at.project = found;
    await load(position && { position });
  }

  /* Whether it was open, and so goes to this item, which the address says. */
  function turned(project, position) {
    if (!at.project || at.project.name !== project) return false;
    if (at.item?.position !== position || !position) load(position && { position });
    return true;
  }

  function close() {
    keep();
    clearTimeout(at.timer);
    at.loading += 1;
    at.busy = false;
    at.view = null;
    at.item = null;
    at.project = null;
    at.cards = [];
  }

  const keep = () => at.cards.forEach((card) => card.keep());
  addEventListener("pagehide", keep);

  /* What is on the screen stays until the next is there, and is not judged meanwhile. which: an item's number or its
     position in the project, else the next one. */
  async function load(which, candidate) {
    const turn = ++at.loading;
    const { view, project } = at;
    clearTimeout(at.timer);
    keep();
    busy(true);
    let got;
    try {
      await sentAll();
      got = which ? await ask("item", { project: project.name, ...which }) : await ask("next", { project: project.name });
    } catch (refused) {
      if (turn === at.loading && at.view === view) failed(refused, () => load(which, candidate));
      return;
    }
    if (turn !== at.loading || at.view !== view) return;
    busy(false);
    top(project.name, got.top);
    at.item = got.item;
    counts(got);
    const to = { page: "judge", project: project.name, part: got.item?.position };
    place.put(to, place.here().part ? "pushState" : "replaceState");
    if (got.item) addQueued(got.item);
    if (got.item) show(candidate);
    else nothingLeft();
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

  function busy(now) {
    at.busy = now;
    at.view.setAttribute("aria-busy", String(now));
  }

  function failed(refused, again) {
    if (hopeless(refused)) {
      at.item = null;
      at.cards = [];
      busy(false);
      at.view.replaceChildren(problem(refused.message), h("div", { class: "ca-row" }, button("Next item", () => load())));
      return;
    }
    if (refused.status === 401) {
      busy(false);
      if (!at.item) at.view.replaceChildren();
      return; // the page tells it, and how to go on
    }
    at.timer = setTimeout(again, RETRY);
    const words = [problem(`${refused.message} The next item comes as soon as it can be had.`), h("div", { class: "ca-row" }, button("Try again", again))];
    if (at.item) {
      busy(false); // the one that is there can be gone on with
      at.parts.more.replaceChildren(...words);
      at.parts.more.scrollIntoView({ block: "nearest" });
    } else {
      at.view.replaceChildren(...words);
    }
  }

  /* What comes next depends on what was said; so it waits for that, but not for ever where there is no connection. */
  async function sentAll() {
    const until = Date.now() + 3_000;
    while (waiting().count && !waiting().problem && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
  }

  function nothingLeft() {
    at.cards = [];
    at.view.replaceChildren(
      h(
        "div",
        { class: "ca-panel ca-end" },
        h("h2", { tabindex: -1 }, "Nothing is left for you here"),
        h("p", {}, `You have judged ${counted(at.mine.done, "item")} of ${at.project.name}. Others hold or have judged the rest, or nothing was looked for yet; what somebody holds becomes free in half an hour.`),
        h("div", { class: "ca-row" }, button("Look again", () => load()), button("What I judged", lookBack)),
        (at.parts.back = h("div", {})),
      ),
    );
    at.view.querySelector("h2").focus();
  }

  function show(candidate) {
    const { item, project } = at;
    const kinds = { passage: "Passage", answer: "Answer" };
    const of = (what) => item.candidates.filter((each) => each.what === what);
    at.cards = item.candidates.map((each) => {
      const mine = of(each.what);
      const place = `${kinds[each.what]} ${mine.indexOf(each) + 1} of ${mine.length}`;
      return window.citesight.card(each, project.scales[each.what], place, {
        say: (changes) => (said(item, each.id, changes), progress()),
        past: (one) => ask("history", { project: project.name, item: item.id, candidate: one.id }),
        chosen: () => choose(at.cards.findIndex((card) => card.candidate === each)),
        graded: (number) => (choose(at.cards.findIndex((card) => card.candidate === each)), judge(number)),
      });
    });
    const picture =
      item.photo &&
      window.citesight.photo(
        `annotation/photo/${encodeURIComponent(project.name)}/${item.id}`,
        `Photo of item ${item.position}`,
        item.said?.region ?? null,
        (region) => said(item, null, { region }),
      );
    at.zoom = picture ? picture.zoom : () => {};
    at.frame = picture ? picture.frame : () => {};
    const parts = (at.parts = {
      progress: h("p", { class: "ca-progress" }),
      list: h("div", { class: "ca-list" }, at.cards.map((card) => card.whole)),
      more: h("div", {}),
      back: h("div", {}),
      mode: button("", () => mode(!set.one), { title: "l" }),
      steps: h("div", { class: "ca-row" }, button("Previous", () => step(-1)), button("Next", () => step(1))),
      next: button("Next item", () => load(), { class: "ca-button ca-first ca-next" }),
    });
    at.view.replaceChildren(
      h(
        "div",
        { class: "ca-work" },
        h(
          "div",
          { class: "ca-side" },
          picture && picture.whole,
          window.citesight.question(item),
          window.citesight.guidelines(project, !NARROW),
        ),
        h(
          "div",
          { class: "ca-main" },
          h(
            "div",
            { class: "ca-row ca-head" },
            parts.progress,
            parts.mode,
            button("Put aside", skip, { title: "s" }),
            button("Undo", undo, { title: "u" }),
            button("What I judged", lookBack),
            button("Keys", help, { title: "?" }),
          ),
          parts.more,
          parts.back,
          parts.list,
          parts.steps,
          parts.next,
        ),
      ),
    );
    mode(set.one);
    const wanted = at.cards.findIndex((card) => card.candidate.id === candidate);
    choose(wanted >= 0 ? wanted : Math.max(0, firstOpen(0)));
    at.cards[at.current]?.whole.focus({ preventScroll: true });
    if (wanted >= 0) at.cards[wanted].whole.scrollIntoView({ block: "nearest" });
    else at.view.scrollIntoView({ block: "start" }); // photo and question first
    progress();
    announce(`Item ${item.position}: ${item.question}. ${at.cards[at.current]?.whole.getAttribute("aria-label") ?? ""}`);
  }

  /* candidate: null where it is said of the whole item. */
  function said(item, candidate, changes) {
    at.said += 1;
    say("judge", { project: at.project.name, item: item.id, candidate, ...changes });
  }

  const firstOpen = (from) => {
    const order = at.cards.map((_, place) => (from + place) % at.cards.length);
    return order.find((place) => !at.cards[place].done()) ?? -1;
  };

  function progress() {
    const judged = at.cards.filter((card) => card.done()).length;
    const pace = at.mine.pace ? ` · ${Math.round(at.mine.pace)} judgments an hour` : "";
    at.parts.progress.textContent = `${judged} of ${at.cards.length} judged · you have done ${counted(at.mine.done, "item")}${pace}`;
    at.parts.next.hidden = judged !== at.cards.length;
  }

  function choose(place, move = false) {
    const card = at.cards[place];
    if (!card) return;
    at.current = place;
    at.cards.forEach((each, number) => {
      each.whole.classList.toggle("ca-current", number === place);
      each.whole.hidden = set.one && number !== place;
    });
    if (!move) return;
    card.whole.focus({ preventScroll: true });
    card.whole.scrollIntoView({ block: "nearest" });
  }

  const step = (by) => choose(Math.min(at.cards.length - 1, Math.max(0, at.current + by)), true);

  function mode(one) {
    set.one = remember(ONE, one);
    at.parts.mode.textContent = one ? "All in a list" : "One at a time";
    at.parts.steps.hidden = !one || at.cards.length < 2;
    choose(at.current, true);
  }

  function judge(number) {
    const card = at.cards[at.current];
    if (at.busy || !card?.judge(number)) return;
    const label = at.project.scales[card.candidate.what][number].label;
    const next = firstOpen(at.current);
    if (next >= 0) {
      choose(next, true);
      announce(`${label}. Next: ${at.cards[next].whole.getAttribute("aria-label")}`);
    } else {
      at.parts.next.focus();
      announce(`${label}. All are judged; Enter or g goes on to the next item.`);
    }
  }

  function goOn() {
    const next = firstOpen(at.current);
    if (next >= 0) choose(next, true);
    else load();
  }

  function undo() {
    keep();
    at.said += 1;
    say("undo", { project: at.project.name });
  }

  function skip() {
    const [whole, reason] = field("Why is it put aside?", { maxlength: 1000, required: true, placeholder: "the photo shows nothing of it" });
    const put = async () => {
      say("skip", { project: at.project.name, item: at.item.id, reason: reason.value });
      await load();
    };
    const made = form([whole], "Put aside", put);
    made.querySelector(".ca-row").append(button("Keep it", () => (at.parts.more.replaceChildren(), choose(at.current, true))));
    made.addEventListener("keydown", (event) => event.key === "Escape" && at.parts.more.replaceChildren());
    at.parts.more.replaceChildren(made);
    reason.focus();
  }

  const lookBack = () => window.citesight.lookBack(at.parts.back, at.project, load);
  const help = () => window.citesight.keys.help(at.parts.more);

  told((what, op, came) => {
    if (!at.project || op?.told?.project !== at.project.name) return;
    const now = came?.said; // what holds by now
    const shown = now && at.item?.id === now.item;
    if (shown) finished(came.done);
    if (shown && !here(op)) seen(now);
    if (!here(op)) return;
    if (what === "undone") {
      if (!now) announce("There is nothing to undo.");
      else if (shown) undone(now);
      else load({ item: now.item }, now.candidate);
    } else if (what === "refused" && at.item?.id === op.told.item) {
      load({ item: at.item.id }, op.told.candidate);
    }
  });

  /* Shows what was said in another tab. What is being typed here stays. */
  function seen(now) {
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
    if (at.view !== view || at.loading !== loading || at.said !== before) return;
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

  function undone(now) {
    const place = at.cards.findIndex((card) => card.candidate.id === now.candidate);
    if (place < 0) {
      load({ item: at.item.id });
      return;
    }
    at.cards[place].set(now);
    choose(place, true);
    progress();
    announce(`Undone: ${at.cards[place].whole.getAttribute("aria-label")}.`);
  }

  window.citesight.keys.listen({
    may: () => at.item && !at.busy && at.view?.checkVisibility(),
    judge,
    left: () => choose(at.current, true),
    help,
    does: {
      g: goOn,
      u: undo,
      s: skip,
      m: () => at.cards[at.current]?.mark(),
      c: () => at.cards[at.current]?.comment(),
      v: () => at.cards[at.current]?.source(),
      y: () => at.cards[at.current]?.supported(true),
      n: () => at.cards[at.current]?.supported(false),
      l: () => mode(!set.one),
      "+": () => at.zoom(1.5),
      "-": () => at.zoom(1 / 1.5),
      0: () => at.zoom(0),
      ArrowDown: () => step(1),
      ArrowRight: () => step(1),
      ArrowUp: () => step(-1),
      ArrowLeft: () => step(-1),
    },
  });

  window.citesight.work = { open, turned, close };
})();
