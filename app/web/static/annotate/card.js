/* Annotation: one passage or answer as it is judged. Knows how it looks and what is pressed in it; what was said is
   handed to `tell`, and shown as soon as it was said. */
(() => {
  "use strict";
  const { announce, say } = window.citesight;
  const { h, button, field, problem, table, dotted, when } = window.citesight.draw;
  const PAUSE = 700; // milliseconds without a key, after which what is typed is saved

  /* Places in a text: the server counts characters, a browser counts its own halves of some. */
  const counting = (text, place) => Array.from(text.slice(0, place)).length;
  const placed = (text, count) => Array.from(text).slice(0, count).join("").length;

  function text(candidate) {
    const shown = h("div", { class: "ca-text", dir: "auto", lang: "" });
    // `chosen`: while a span is chosen with the keyboard, in the browser's own places.
    function draw(span, chosen) {
      const [from, to] = chosen ?? (span ? span.map((count) => placed(candidate.text, count)) : [0, 0]);
      const marked = to > from && h("mark", { class: chosen ? "ca-choosing" : "" }, candidate.text.slice(from, to));
      shown.replaceChildren(candidate.text.slice(0, from), ...(marked ? [marked] : []), candidate.text.slice(to));
    }

    function selected() {
      const selection = getSelection();
      if (!selection.rangeCount || selection.isCollapsed) return null;
      const range = selection.getRangeAt(0);
      if (!shown.contains(range.startContainer) || !shown.contains(range.endContainer)) return null;
      const before = document.createRange();
      before.selectNodeContents(shown);
      before.setEnd(range.startContainer, range.startOffset);
      const from = before.toString().length;
      const to = from + range.toString().length;
      return [counting(candidate.text, from), counting(candidate.text, to)];
    }
    return { shown, draw, selected };
  }

  /* Choosing a span word by word; `done` gets it, or null when it was given up. */
  function byWords(candidate, body, done) {
    const words = [...candidate.text.matchAll(/\S+/g)].map((found) => [found.index, found.index + found[0].length]);
    let [first, last] = [0, 0];
    let moved = false;
    const hint = h("p", { class: "ca-faint" }, say("annotate.choose_hint"));
    const ahead = getComputedStyle(body.shown).direction === "rtl" ? -1 : 1; // the way of the text
    const draw = () => {
      body.draw(null, [words[first][0], words[last][1]]);
      body.shown.querySelector("mark").scrollIntoView({ block: "nearest" });
      announce(candidate.text.slice(words[first][0], words[last][1]));
    };
    function keys(event) {
      const by = { ArrowRight: ahead, ArrowDown: 8, ArrowLeft: -ahead, ArrowUp: -8 }[event.key];
      const judges = /^[1-9]$/.test(event.key); // which keeps the words, and goes on to judge
      if (!by && !judges && event.key !== "Enter" && event.key !== "Escape") return;
      if (!judges) {
        event.preventDefault();
        event.stopPropagation();
      }
      if (by) {
        moved = true;
        const to = Math.min(words.length - 1, Math.max(0, last + by));
        if (event.shiftKey) last = Math.max(first, to);
        else [first, last] = [to, to];
        draw();
        return;
      }
      body.shown.removeEventListener("keydown", keys);
      body.shown.removeEventListener("blur", leave);
      body.shown.removeAttribute("tabindex");
      hint.remove();
      const span = [counting(candidate.text, words[first][0]), counting(candidate.text, words[last][1])];
      done(event.key === "Enter" || (moved && judges) ? span : null);
    }
    function leave() {
      keys(new KeyboardEvent("keydown", { key: moved ? "Enter" : "Escape" }));
    }
    if (!words.length) return;
    body.shown.after(hint);
    body.shown.tabIndex = 0;
    body.shown.addEventListener("keydown", keys);
    body.shown.addEventListener("blur", leave);
    body.shown.focus();
    draw();
  }

  /* A text that is saved while it is typed. */
  function typed(label, value, save, attributes = {}) {
    const [whole, area] = field(label, { rows: 2, dir: "auto", ...attributes }, "textarea");
    let timer = 0;
    const now = () => {
      clearTimeout(timer);
      if (area.value.trim() !== (value ?? "").trim()) save((value = area.value));
    };
    area.value = value ?? "";
    area.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(now, PAUSE);
    });
    area.addEventListener("blur", now);
    // What was half typed stays, and is saved in its turn.
    const set = (other) => {
      const typing = area.value.trim() !== (value ?? "").trim();
      const another = (other ?? "").trim() !== (value ?? "").trim();
      value = other ?? "";
      if (!typing && another) area.value = value;
    };
    return { whole, area, now, set };
  }

  /* Whether two say the same. What is drawn again loses what is selected in it. */
  function same(one, other) {
    const fields = ["grade", "comment", "span", "citations", "correction"];
    const value = (of) => (typeof of === "string" ? of.trim() : Object.keys(of ?? {}).length ? of : "");
    return fields.every((name) => JSON.stringify(value(one?.[name])) === JSON.stringify(value(other?.[name])));
  }

  /* candidate: as the server gives it. scale: its grades. place: "Passage 3 of 12". tell: told what changes, and what held.
     past: asks for what one said before. chosen: called when it is pressed; graded: with the grade that is. */
  function card(candidate, scale, place, { tell, past, chosen, graded }) {
    const said = () => candidate.said ?? {};
    const changed = (changes) => {
      const before = candidate.said ?? null;
      candidate.said = { ...said(), ...changes };
      tell(changes, before);
      draw();
    };
    const body = text(candidate);
    const grades = scale.map((grade, at) =>
      h(
        "button",
        { type: "button", class: "ca-grade", click: () => graded(at), "data-key": `grade ${candidate.id} ${at}` },
        h("kbd", { "aria-hidden": "true" }, String(at + 1)),
        h("span", { dir: "auto" }, grade.label),
      ),
    );
    const comment = typed(say("annotate.comment"), said().comment, (value) => changed({ comment: value }), { maxlength: 10000 });
    const more = h("div", { class: "ca-more", hidden: !said().comment }, comment.whole);
    const answer = candidate.what === "answer";
    const correction = answer && typed(say("annotate.your_words"), said().correction, (value) => changed({ correction: value }), { maxlength: 100000 });
    const cited = window.citesight.sources(candidate, said, changed, () => whole.focus({ preventScroll: true }));
    const before = h("div", {});
    const mark = button(say("annotate.mark"), markSpan, { title: "m" });
    const unmark = button(say("annotate.unmark"), () => changed({ span: null }));
    const where = [candidate.title, candidate.section].filter(Boolean).join(" › ");
    const found = Object.entries(candidate.found).sort(([, one], [, other]) => one - other);
    const whole = h(
      "article",
      { class: "ca-card", tabindex: -1, "aria-label": place, "data-id": candidate.id, click: chosen, focusin: chosen },
      h("p", { class: "ca-place", "data-judged": say("annotate.is_judged") }, place),
      where && h("h3", { dir: "auto" }, where),
      body.shown,
      cited.list,
      h("div", { class: "ca-grades", role: "group", "aria-label": say("annotate.judgment_of", { place }) }, grades),
      correction && correction.whole,
      h(
        "div",
        { class: "ca-row ca-quiet" },
        !answer && mark,
        unmark,
        button(say("annotate.comment"), talk, { title: "c" }),
        button(say("annotate.said_before"), look),
        candidate.link && h("a", { href: candidate.link, target: "_blank", rel: "noopener noreferrer nofollow" }, say("annotate.source")),
        candidate.corpus && h("span", { class: "ca-faint", dir: "auto" }, candidate.corpus),
        found.length > 0 && h("span", { class: "ca-faint" }, dotted(...found.map(([who, rank]) => say("annotate.found_by", { who, rank })))),
      ),
      more,
      before,
    );

    function judge(at) {
      if (at >= scale.length) return false;
      if (said().grade !== scale[at].key) changed({ grade: scale[at].key });
      return true;
    }

    function markSpan() {
      const span = body.selected();
      getSelection().removeAllRanges();
      if (span) changed({ span });
      else if (!answer) {
        announce(say("annotate.choose_words"));
        byWords(candidate, body, (chosenSpan) => {
          if (chosenSpan) changed({ span: chosenSpan });
          else draw();
          if (body.shown.contains(document.activeElement) || document.activeElement === document.body) whole.focus({ preventScroll: true });
        });
      }
    }

    function talk() {
      more.hidden = false;
      comment.area.focus();
    }

    async function look() {
      try {
        const entries = await past(candidate);
        const label = (key) => (key ? (scale.find((grade) => grade.key === key)?.label ?? key) : say("annotate.no_judgment"));
        const words = (span) => (span ? candidate.text.slice(...span.map((count) => placed(candidate.text, count))) : "");
        const rows = entries.map((entry) => [when(entry.at), say(entry.act === "undo" ? "annotate.act_undone" : "annotate.act_said"), label(entry.grade), words(entry.span), entry.comment ?? ""]);
        const heads = [say("annotate.when"), "", say("annotate.judgment"), say("annotate.words_marked"), say("annotate.comment")];
        before.replaceChildren(
          entries.length ? table(heads, rows, { label: say("annotate.said_before") }) : h("p", { class: "ca-faint" }, say("annotate.nothing_yet")),
        );
      } catch (refused) {
        before.replaceChildren(problem(refused.message));
      }
    }

    function draw() {
      const { grade, span, comment: commented } = said();
      grades.forEach((each, at) => {
        each.setAttribute("aria-pressed", String(scale[at].key === grade));
      });
      whole.classList.toggle("ca-judged", Boolean(grade));
      unmark.hidden = !span;
      mark.textContent = say(span ? "annotate.mark_other" : "annotate.mark");
      if (commented) more.hidden = false;
      body.draw(span);
      cited.draw();
    }

    /* Shows what holds by the server, such as after an undo. */
    function set(now) {
      const drawn = same(candidate.said, now);
      candidate.said = now;
      if (drawn) return;
      comment.set(said().comment);
      if (correction) correction.set(said().correction);
      draw();
    }
    draw();
    return { whole, judge, mark: markSpan, comment: talk, source: cited.next, supported: cited.press, set, candidate, done: () => Boolean(said().grade), keep: () => (comment.now(), correction && correction.now()) };
  }

  window.citesight.card = card;
})();
