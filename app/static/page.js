/* Selecting evidence: a citation or a card is pressed, the card is marked and the photo shows its heat map.
   Listens on the document, because Gradio replaces the contents of its components whenever they change. */
(() => {
  "use strict";
  const state = { run: "", rank: "", picked: false, stage: "", wanted: "", stopped: false };
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const one = (selector) => document.querySelector(selector);

  function announce(text) {
    let region = one("#cs-announce");
    if (!region) {
      region = document.createElement("div");
      region.id = "cs-announce";
      region.className = "cs-sr";
      region.setAttribute("aria-live", "polite");
      document.body.append(region);
    }
    region.textContent = text;
  }

  function show(rank) {
    all(".cs-card").forEach((card) => card.classList.toggle("cs-selected", card.dataset.rank === rank));
    all(".cs-pick").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.rank === rank)));
    all(".cs-cite").forEach((button) => button.classList.toggle("cs-current", button.dataset.rank === rank));
    const plain = one(".cs-plain");
    const hidden = plain !== null && plain.getAttribute("aria-pressed") === "true";
    let title = null;
    all(".cs-layer").forEach((layer) => {
      layer.hidden = hidden || layer.dataset.rank !== rank;
      if (layer.dataset.rank === rank) title = layer.dataset.title;
    });
    const caption = one(".cs-where b");
    if (caption && title !== null && caption.textContent !== title) caption.textContent = title;
    return title;
  }

  function select(rank) {
    state.rank = rank;
    state.picked = true;
    const plain = one(".cs-plain");
    if (plain) plain.setAttribute("aria-pressed", "false");
    one(".cs-figure")?.classList.remove("cs-bare");
    const title = show(rank);
    announce(title === null ? `Passage ${rank} selected.` : `Showing where the photo matched ${title}.`);
  }

  function calm() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  }

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target || target.closest("a")) return;
    const cite = target.closest(".cs-cite");
    if (cite) {
      select(cite.dataset.rank);
      const pick = one(`.cs-pick[data-rank="${Number(cite.dataset.rank)}"]`);
      pick?.focus({ preventScroll: true });
      pick?.closest(".cs-card").scrollIntoView({ behavior: calm(), block: "nearest" });
      return;
    }
    const plain = target.closest(".cs-plain");
    if (plain) {
      const bare = plain.getAttribute("aria-pressed") !== "true";
      plain.setAttribute("aria-pressed", String(bare));
      one(".cs-figure")?.classList.toggle("cs-bare", bare);
      show(state.rank);
      return;
    }
    if (target.closest(".cs-select")) {
      if (part.box || part.choosing) {
        choose(null, false);
      } else {
        // From the keyboard there is nothing to draw with: begin with a frame that the arrow keys move.
        choose(event.detail === 0 ? [0.25, 0.25, 0.75, 0.75] : null, event.detail !== 0);
        if (event.detail === 0) one(".cs-hole")?.focus();
      }
      return;
    }
    if (target.closest(".cs-change")) {
      one("#cs-main")?.classList.add("cs-choosing");
      one("#cs-photo button, #cs-photo input")?.focus();
      return;
    }
    const card = target.closest(".cs-card");
    // A text selection inside a card is somebody copying, not choosing.
    if (card && !String(getSelection())) select(card.dataset.rank);
  });

  /* Choosing a part of the photo: a frame over whichever picture of it is shown. What is chosen is written into the
     hidden field that goes with the question: "left,top,right,bottom" as fractions, or nothing for all of it. */
  const part = { box: null, choosing: false, from: null };
  const LEAST = 0.03;
  const STEP = 0.02;
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function picture() {
    const shown = [one(".cs-photo"), one("#cs-photo img")];
    return shown.find((image) => image && image.offsetParent !== null && image.naturalWidth > 0) ?? null;
  }

  // Where the picture itself is inside its element, which may be wider or higher than it.
  function drawn(image) {
    const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
    const width = image.naturalWidth * scale;
    const height = image.naturalHeight * scale;
    return {
      left: image.offsetLeft + (image.clientWidth - width) / 2,
      top: image.offsetTop + (image.clientHeight - height) / 2,
      width,
      height,
    };
  }

  function write() {
    const field = one("#cs-region textarea, #cs-region input");
    const value = part.box ? part.box.map((edge) => edge.toFixed(4)).join(",") : "";
    if (!field || field.value === value) return;
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function frame() {
    const image = picture();
    const shown = image !== null && (part.box !== null || part.choosing);
    all(".cs-frame").forEach((each) => {
      if (!shown || each.parentElement !== image.parentElement) each.remove();
    });
    all(".cs-select").forEach((button) => {
      const chosen = part.box !== null && !part.choosing;
      const name = chosen ? "Whole photo" : part.choosing ? "Draw on it…" : "Select a part";
      if (button.textContent !== name) button.textContent = name;
      button.setAttribute("aria-pressed", String(part.choosing || chosen));
    });
    if (!shown) return;
    let pane = image.parentElement.querySelector(".cs-frame");
    if (!pane) {
      pane = document.createElement("div");
      pane.className = "cs-frame";
      const hole = document.createElement("div");
      hole.className = "cs-hole";
      hole.tabIndex = 0;
      hole.setAttribute("role", "group");
      pane.append(hole);
      image.parentElement.append(pane);
    }
    const at = drawn(image);
    Object.assign(pane.style, {
      left: `${at.left}px`, top: `${at.top}px`, width: `${at.width}px`, height: `${at.height}px`,
    });
    pane.classList.toggle("cs-choosing-part", part.choosing);
    const hole = pane.firstElementChild;
    hole.hidden = part.box === null;
    if (part.box) {
      const [left, top, right, bottom] = part.box;
      Object.assign(hole.style, {
        left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%`,
      });
      const from = `${Math.round(left * 100)} to ${Math.round(right * 100)} percent across`;
      hole.setAttribute("aria-label", `Part of the photo that is asked about, ${from}, ${Math.round(top * 100)} to ${Math.round(bottom * 100)} percent down. Arrow keys move it, with Shift they resize it, Escape clears it.`);
    }
  }

  function choose(box, choosing) {
    part.box = box;
    part.choosing = choosing;
    write();
    frame();
  }

  function place(event) {
    const area = one(".cs-frame").getBoundingClientRect();
    return [clamp((event.clientX - area.left) / area.width, 0, 1), clamp((event.clientY - area.top) / area.height, 0, 1)];
  }

  document.addEventListener("pointerdown", (event) => {
    if (!part.choosing || !(event.target instanceof Element) || !event.target.closest(".cs-frame")) return;
    event.preventDefault();
    part.from = place(event);
  });
  document.addEventListener("pointermove", (event) => {
    if (!part.from) return;
    const [x, y] = place(event);
    const [left, top] = part.from;
    part.box = [Math.min(left, x), Math.min(top, y), Math.max(left, x), Math.max(top, y)];
    frame();
  });
  document.addEventListener("pointerup", () => {
    if (!part.from) return;
    part.from = null;
    const box = part.box;
    const enough = box && box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST;
    choose(enough ? box : null, !enough); // a mere click draws nothing: go on choosing
    if (enough) announce("A part of the photo is chosen; ask about it.");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && (part.choosing || document.activeElement?.matches(".cs-hole"))) {
      choose(null, false);
      return;
    }
    const arrows = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = arrows[event.key];
    if (!move || !part.box || !document.activeElement?.matches(".cs-hole")) return;
    event.preventDefault();
    let [left, top, right, bottom] = part.box;
    if (event.shiftKey) {
      right = clamp(right + move[0], left + LEAST, 1);
      bottom = clamp(bottom + move[1], top + LEAST, 1);
    } else {
      const x = clamp(move[0], -left, 1 - right);
      const y = clamp(move[1], -top, 1 - bottom);
      [left, right, top, bottom] = [left + x, right + x, top + y, bottom + y];
    }
    choose([left, top, right, bottom], false);
  });
  addEventListener("resize", () => frame());

  window.asking = (number) => {
    state.stopped = false;
    return number + 1;
  };

  /* Stopping: the server ends the work; what has been said stays, and the page says that it was stopped.
     later: when it has ended, by which time the next question may be waiting here for its first word. */
  window.stopped = (later = false) => {
    if (later && !state.stopped) return;
    state.stopped = true;
    const panel = one(".cs-panel[aria-busy]");
    if (!panel) return;
    panel.removeAttribute("aria-busy");
    const note = document.createElement("p");
    note.className = "cs-note";
    note.textContent = panel.querySelector(".cs-said")
      ? "Stopped before the end; what is here is not the whole answer."
      : "Stopped. Ask again when you like.";
    if (panel.classList.contains("cs-working")) panel.replaceChildren(note);
    else panel.append(note);
    announce(note.textContent);
  };

  /* What Gradio itself reports (an upload that failed, a server that is gone) comes as a passing notice in its
     own words. It is said in place instead, and stays until the next thing happens. */
  const managing = () => one('button[role="tab"][aria-selected="true"]')?.textContent.trim() === "Corpora";

  function sentence(notice) {
    return managing() ? told(notice).replace(/^The photo(?:'s file)?/, "The file") : told(notice);
  }

  function told(notice) {
    if (/maximum allowed size/i.test(notice)) {
      return `The photo's file is too large (${notice.match(/[\d.]+ ?[kmg]b/i)?.[0] ?? "see the log"} at most); save it smaller first.`;
    }
    if (/HTTP 5\d\d|internal server error/i.test(notice)) {
      return "The photo could not be stored here, perhaps because the disk is full; try again later or with a smaller file.";
    }
    if (/currently busy/i.test(notice)) return "Too many questions are waiting; ask again in a minute.";
    if (/connect|network|fetch|reach/i.test(notice)) {
      return "The program that answers cannot be reached; see that it is running, then reload this page.";
    }
    return notice;
  }

  function say(text) {
    one("#cs-notice")?.remove();
    if (!text) return;
    const place = document.createElement("p");
    place.id = "cs-notice";
    place.className = "cs-error";
    place.setAttribute("role", "alert");
    place.textContent = text;
    one(managing() ? "#cc-problem" : "#cs-problem")?.after(place);
  }

  // Called by Gradio once the page is up: `/?example=lion` asks that example.
  window.openExample = () => {
    state.wanted = new URLSearchParams(location.search).get("example") ?? "";
    settle();
  };

  document.addEventListener("input", () => say(""));
  document.addEventListener("click", () => say(""));

  function settle() {
    const notices = all('[data-testid="toast-body"].error [data-testid="toast-text"]');
    const fresh = notices.filter((notice) => notice.dataset.said === undefined);
    fresh.forEach((notice) => (notice.dataset.said = ""));
    if (fresh.length) say(sentence(fresh[fresh.length - 1].textContent.trim()));
    if (fresh.some((notice) => /currently busy/i.test(notice.textContent))) window.stopped(); // it waits for nothing
    one("#cs-status")?.setAttribute("aria-live", "polite");
    // The picture on an example's button would be read as the button's own text over again.
    all('.cs-try img:not([alt=""])').forEach((picture) => picture.setAttribute("alt", ""));
    const example = state.wanted && one(`#cs-try-${CSS.escape(state.wanted)}`);
    if (example) {
      state.wanted = "";
      example.click();
    }
    const field = one("#cs-region textarea, #cs-region input");
    if (field) {
      field.tabIndex = -1; // nobody sees it
      one("#cs-region").setAttribute("aria-hidden", "true");
    }
    if (field && !field.value && part.box && !part.from) part.box = null; // another photo, or a new conversation
    frame();
    const evidence = one(".cs-evidence");
    const run = evidence ? evidence.dataset.run : "";
    if (run !== state.run) {
      state.run = run;
      state.picked = false;
      one("#cs-main")?.classList.remove("cs-choosing");
    }
    if (run) {
      // What the person chose outlives the cards being drawn anew when the answer is complete.
      const pressed = one('.cs-pick[aria-pressed="true"]');
      if (!state.picked && pressed) state.rank = pressed.dataset.rank;
      show(state.rank);
    }
    // In one column the answer is below what was typed: go there once per stage, as the page above it shrinks.
    const panel = one(".cs-panel:not(.cs-empty)");
    const stage = panel ? `${panel.className} ${run} ${panel.hasAttribute("aria-busy")}` : "";
    if (stage !== state.stage) {
      state.stage = stage;
      if (panel && matchMedia("(max-width: 820px)").matches) {
        one("#cs-answer").scrollIntoView({ behavior: "auto", block: "start" });
      }
    }
    const said = one(".cs-panel:not([aria-busy]) .cs-said");
    if (said && said.dataset.heard === undefined) {
      said.dataset.heard = "";
      announce(`${one(".cs-panel h2").textContent}. ${said.textContent}`);
    }
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      settle();
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
