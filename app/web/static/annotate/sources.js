/* Annotation: the sources that an answer cites, each judged to support it or not, by mouse or by keys. */
(() => {
  "use strict";
  const { announce, say } = window.citesight;
  const { h, button } = window.citesight.draw;

  /* said: gives what holds of the answer; tell: told what changes; home: takes the focus when all are judged. */
  function sources(candidate, said, tell, home) {
    const all = candidate.citations;
    const is = (cited) => (said().citations ?? {})[cited.number];
    const words = (good) => say(good === undefined ? "annotate.not_judged" : good ? "annotate.supported" : "annotate.not_supported");

    function judge(at, good) {
      const { number } = all[at];
      const now = { ...(said().citations ?? {}) };
      if (now[number] === good) delete now[number];
      else now[number] = good;
      tell({ citations: now });
      draw();
    }

    const rows = all.map((cited, at) => {
      const yes = button(say("annotate.supported"), () => judge(at, true), { title: "y", "aria-keyshortcuts": "y" });
      const no = button(say("annotate.not_supported"), () => judge(at, false), { title: "n", "aria-keyshortcuts": "n" });
      const group = h("div", { class: "ca-row", role: "group", tabindex: -1 }, yes, no);
      const cites = h("div", {}, `[${cited.number}] `, h("b", {}, cited.title), cited.quotes.map((quote) => h("q", { dir: "auto" }, quote)));
      return { cited, yes, no, group, whole: h("li", {}, cites, group) };
    });

    function draw() {
      rows.forEach(({ cited, yes, no, group }, at) => {
        yes.setAttribute("aria-pressed", String(is(cited) === true));
        no.setAttribute("aria-pressed", String(is(cited) === false));
        group.setAttribute("aria-label", say("annotate.source_of", { number: at + 1, of: all.length, title: cited.title, said: words(is(cited)) }));
      });
    }

    const focused = () => rows.findIndex(({ whole }) => whole.contains(document.activeElement));
    const open = (from) => rows.map((_, by) => (from + by) % rows.length).find((at) => is(all[at]) === undefined) ?? -1;
    const go = (at) => rows[at].group.focus();

    /* Goes to the next source: the first that is not judged, when one comes from elsewhere. */
    function next() {
      if (!rows.length) announce(say("annotate.no_sources"));
      else if (focused() >= 0) go((focused() + 1) % rows.length);
      else go(Math.max(open(0), 0));
    }

    /* Judges the source that has the focus, else the first that is not judged, and goes on to the next of those. */
    function press(good) {
      const at = focused() >= 0 ? focused() : open(0);
      if (at < 0) {
        announce(say(rows.length ? "annotate.all_sources" : "annotate.no_sources"));
        return;
      }
      judge(at, good);
      const then = open(at);
      announce(say(then < 0 ? "annotate.last_source" : "annotate.source_said", { number: at + 1, said: words(is(all[at])) }));
      if (then >= 0) go(then);
      else home();
    }
    draw();
    const list = rows.length > 0 && h("ul", { class: "ca-citations" }, rows.map(({ whole }) => whole));
    return { list, draw, next, press };
  }

  window.citesight.sources = sources;
})();
