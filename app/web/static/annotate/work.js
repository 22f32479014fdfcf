/* Annotation: judging the items of a project, by keys or by mouse. What is said is shown at once and handed to the
   queue (server.js), which saves it. */
(() => {
  "use strict";
  const { announce, place, say, counted, number: digits } = window.citesight;
  const { ask, top, hopeless } = window.citesight.server;
  const { h, button, field, form, problem, dotted, ended } = window.citesight.draw;
  const { ends } = window.citesight;
  const { remembered, remember } = window.citesight.preferences;
  const NARROW = matchMedia("(max-width: 820px)").matches;
  const ONE = "citesight-one-at-a-time";
  const IN_SIGHT = 40; // pixels of a passage, at least
  const AHEAD = say("direction") === "rtl" ? -1 : 1; // to which side the next is
  const RETRY = 3_000; // milliseconds, where the server could not be reached
  // loading: how often something was; busy: it is now, and what is on the screen is not to be judged any more; said: how
  // often something was said here.
  const at = { project: null, item: null, cards: [], current: 0, view: null, parts: {}, loading: 0, busy: false, timer: 0, said: 0, refused: "" };

  const set = { one: remembered(ONE, NARROW) };

  /* The view of a project's work, in `view`. position: of the item to begin with; 0: the next one. */
  async function open(view, project, position) {
    close();
    at.view = view;
    saying.begin();
    view.replaceChildren(h("p", { class: "ca-faint" }, say("annotate.loading")));
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
      await saying.sentAll();
      got = which ? await ask("item", { project: project.name, ...which }) : await ask("next", { project: project.name });
    } catch (refused) {
      if (turn === at.loading && at.view === view) failed(refused, () => load(which, candidate));
      return;
    }
    if (turn !== at.loading || at.view !== view) return;
    busy(false);
    top(project.name, got.top);
    at.item = got.item;
    saying.counts(got);
    const to = { page: "judge", project: project.name, part: got.item?.position };
    place.put(to, place.here().part ? "pushState" : "replaceState");
    if (got.item) saying.addQueued(got.item);
    if (got.item) show(candidate);
    else nothingLeft();
  }

  function nothingLeft() {
    at.cards = [];
    at.parts.back = ends.nothingLeft(at.view, at, load, lookBack);
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
      ends.gone(at.view, at.project, refused, refused.message === at.refused, load);
      return;
    }
    if (refused.status === 401) {
      busy(false);
      if (!at.item) at.view.replaceChildren();
      return; // the page tells it, and how to go on
    }
    at.timer = setTimeout(again, RETRY);
    const words = [problem(say("annotate.item_comes", { why: refused.message })), h("div", { class: "ca-row" }, button(say("annotate.again"), again))];
    if (at.item) {
      busy(false); // the one that is there can be gone on with
      at.parts.more.replaceChildren(...words);
      at.parts.more.scrollIntoView({ block: "nearest" });
    } else {
      at.view.replaceChildren(...words);
    }
  }

  function show(candidate) {
    const { item, project } = at;
    const kinds = { passage: "annotate.passage_of", answer: "annotate.answer_of" };
    const of = (what) => item.candidates.filter((each) => each.what === what);
    at.cards = item.candidates.map((each) => {
      const mine = of(each.what);
      const place = say(kinds[each.what], { number: mine.indexOf(each) + 1, of: mine.length });
      return window.citesight.card(each, project.scales[each.what], place, {
        tell: (changes, before) => (saying.said(item, each.id, changes, before), progress()),
        past: (one) => ask("history", { project: project.name, item: item.id, candidate: one.id }),
        chosen: () => choose(at.cards.findIndex((card) => card.candidate === each)),
        graded: (number) => (choose(at.cards.findIndex((card) => card.candidate === each)), judge(number)),
      });
    });
    const picture =
      item.photo &&
      window.citesight.photo(
        `annotation/photo/${encodeURIComponent(project.name)}/${item.id}`,
        say("annotate.photo_of", { number: item.position }),
        item.said?.region ?? null,
        (region) => {
          const before = item.said ?? null;
          item.said = { ...before, region };
          saying.said(item, null, { region }, before);
        },
      );
    at.zoom = picture ? picture.zoom : () => {};
    at.frame = picture ? picture.frame : () => {};
    const parts = (at.parts = {
      progress: h("p", { class: "ca-progress" }),
      list: h("div", { class: "ca-list" }, at.cards.map((card) => card.whole)),
      more: h("div", {}),
      back: h("div", {}),
      mode: button("", () => mode(!set.one), { title: "l" }),
      steps: h("div", { class: "ca-row" }, button(say("annotate.previous"), () => step(-1)), button(say("annotate.next"), () => step(1))),
      next: button(say("annotate.next_item"), () => load(), { class: "ca-button ca-first ca-next" }),
      head: h("div", { class: "ca-row ca-head" }),
    });
    parts.head.append(
      parts.progress,
      parts.mode,
      button(say("annotate.put_aside"), skip, { title: "s" }),
      button(say("annotate.undo"), saying.undo, { title: "u" }),
      button(say("annotate.what_judged"), lookBack),
      button(say("annotate.keys"), help, { title: "?" }),
    );
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
          parts.head,
          parts.more,
          parts.back,
          parts.list,
          parts.steps,
          parts.next,
        ),
      ),
    );
    new ResizeObserver(() => at.view?.style.setProperty("--ca-head", `${parts.head.offsetHeight}px`)).observe(parts.head);
    mode(set.one);
    const wanted = at.cards.findIndex((card) => card.candidate.id === candidate);
    choose(wanted >= 0 ? wanted : Math.max(0, firstOpen(0)));
    at.cards[at.current]?.whole.focus({ preventScroll: true });
    if (wanted < 0) at.view.scrollIntoView({ block: "start" }); // photo and question first
    if (at.current > 0) at.cards[at.current].whole.scrollIntoView({ block: "nearest" });
    progress();
    announce(say("annotate.opened", { number: item.position, question: ended(item.question), place: at.cards[at.current]?.whole.getAttribute("aria-label") ?? "" }));
  }

  const firstOpen = (from) => {
    const order = at.cards.map((_, place) => (from + place) % at.cards.length);
    return order.find((place) => !at.cards[place].done()) ?? -1;
  };

  function progress() {
    const judged = at.cards.filter((card) => card.done()).length;
    const far = say("annotate.judged_of", { judged: digits(judged), of: digits(at.cards.length) });
    const pace = at.mine.pace && counted("annotate.pace", Math.round(at.mine.pace));
    at.parts.progress.textContent = dotted(far, counted("annotate.done_mine", at.mine.done), pace);
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
    stay();
    card.whole.focus({ preventScroll: true });
    card.whole.scrollIntoView({ block: "nearest" });
  }

  /* Whoever goes on with the item that is there is not carried off once another can be had. */
  function stay() {
    if (!at.timer) return;
    clearTimeout(at.timer);
    at.timer = 0;
    at.parts.more?.replaceChildren();
  }

  /* The button for the next item comes after the last of them. */
  function step(by) {
    const from = document.activeElement === at.parts.next ? at.cards.length : at.current;
    choose(Math.min(at.cards.length - 1, Math.max(0, from + by)), true);
  }

  function mode(one) {
    set.one = remember(ONE, one);
    at.parts.mode.textContent = say(one ? "annotate.all_list" : "annotate.one_at_a_time");
    at.parts.steps.hidden = !one || at.cards.length < 2;
    choose(at.current, true);
  }

  /* What keys judge is in sight; else it is shown, and nothing is judged. */
  function inSight() {
    const card = at.cards[at.current]?.whole;
    if (!card) return false;
    if (document.activeElement === at.parts.next) {
      announce(say("annotate.all_judged_arrow"));
      return false;
    }
    const { top, bottom } = card.getBoundingClientRect();
    const from = Math.max(0, at.parts.head.getBoundingClientRect().bottom);
    if (bottom > from + IN_SIGHT && top < innerHeight - IN_SIGHT) return true;
    choose(at.current, true);
    announce(say("annotate.keys_judge_this", { place: card.getAttribute("aria-label") }));
    return false;
  }

  function judge(number) {
    const card = at.cards[at.current];
    if (at.busy || !card?.judge(number)) return;
    const label = at.project.scales[card.candidate.what][number].label;
    const next = firstOpen(at.current);
    if (next >= 0) {
      choose(next, true);
      announce(say("annotate.next_is", { grade: label, place: at.cards[next].whole.getAttribute("aria-label") }));
    } else {
      at.cards.forEach((each) => each.whole.classList.remove("ca-current")); // keys judge none of them there
      at.parts.next.focus();
      announce(say("annotate.all_judged", { grade: label }));
    }
  }

  function goOn() {
    const next = firstOpen(at.current);
    if (next >= 0) choose(next, true);
    else load();
  }

  function skip() {
    const [whole, reason] = field(say("annotate.why_aside"), { maxlength: 1000, required: true, dir: "auto", placeholder: say("annotate.aside_example") });
    const put = async () => {
      saying.skipped(reason.value);
      await load();
    };
    const made = form([whole], say("annotate.put_aside"), put);
    made.querySelector(".ca-row").append(button(say("script.keep_it"), () => (at.parts.more.replaceChildren(), choose(at.current, true))));
    made.addEventListener("keydown", (event) => event.key === "Escape" && at.parts.more.replaceChildren());
    at.parts.more.replaceChildren(made);
    reason.focus();
  }

  /* Below the row of buttons, where it is in sight however far down one is. */
  const near = (box) => box.scrollIntoView({ block: "nearest" });
  const lookBack = () => window.citesight.lookBack(at.parts.back, at.project, load).then(() => near(at.parts.back));
  const help = () => (window.citesight.keys.help(at.parts.more), near(at.parts.more));

  function shut() {
    const open = [at.parts.more?.querySelector(".ca-keys"), at.parts.back?.firstChild].filter(Boolean);
    open.forEach((panel) => panel.remove());
    if (open.length) choose(at.current, true);
  }

  const saying = window.citesight.saying(at, { load, choose, keep, stay, progress, failed });
  window.citesight.keys.listen({
    may: () => at.item && !at.busy && at.view?.checkVisibility(),
    judge: (number) => inSight() && judge(number),
    left: () => (shut(), choose(at.current, true)),
    shut,
    help,
    does: {
      g: goOn,
      u: saying.undo,
      s: skip,
      m: () => at.cards[at.current]?.mark(),
      c: () => at.cards[at.current]?.comment(),
      v: () => at.cards[at.current]?.source(),
      y: () => inSight() && at.cards[at.current].supported(true),
      n: () => inSight() && at.cards[at.current].supported(false),
      l: () => mode(!set.one),
      "+": () => at.zoom(1.5),
      "-": () => at.zoom(1 / 1.5),
      0: () => at.zoom(0),
      ArrowDown: () => step(1),
      ArrowRight: () => step(AHEAD),
      ArrowUp: () => step(-1),
      ArrowLeft: () => step(-AHEAD),
    },
  });

  window.citesight.work = { open, turned, close };
})();
