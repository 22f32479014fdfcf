/* The Ask page: a citation or a card is pressed, the card is marked and the photo shows its heat map. */
(() => {
  "use strict";
  const state = { run: "", rank: "", picked: false, stage: "", wanted: "" };
  const { all, one, say, announce, settled } = window.citesight;

  function show(rank) {
    all(".cs-card").forEach((card) => card.classList.toggle("cs-selected", card.dataset.rank === rank));
    all(".cs-pick").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.rank === rank)));
    all(".cs-cite").forEach((button) => button.classList.toggle("cs-current", button.dataset.rank === rank));
    const plain = one(".cs-plain");
    const hidden = plain !== null && plain.getAttribute("aria-pressed") === "true";
    all(".cs-layer").forEach((layer) => (layer.hidden = hidden || layer.dataset.rank !== rank));
    all(".cs-where").forEach((caption) => (caption.hidden = caption.dataset.rank !== rank));
    return one(`.cs-where[data-rank="${CSS.escape(rank)}"]`)?.textContent ?? null;
  }

  function select(rank) {
    state.rank = rank;
    state.picked = true;
    const plain = one(".cs-plain");
    if (plain) plain.setAttribute("aria-pressed", "false");
    one(".cs-figure")?.classList.remove("cs-bare");
    announce(show(rank) ?? say("script.selected", { rank }));
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
      const folded = pick?.closest("details");
      if (folded) folded.open = true;
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
    if (target.closest(".cs-change")) {
      one("#cs-main")?.classList.add("cs-choosing");
      one("#cs-photo button, #cs-photo input")?.focus();
      return;
    }
    const card = target.closest(".cs-card");
    // A text selection inside a card is somebody copying, not choosing.
    if (card && !String(getSelection())) select(card.dataset.rank);
  });

  // Called by Gradio once the page is up: `/?example=lion` asks that example.
  window.openExample = () => {
    document.documentElement.classList.add("cs-up");
    state.wanted = new URLSearchParams(location.search).get("example") ?? "";
    settle();
  };

  function settle() {
    one("#cs-status")?.setAttribute("aria-live", "polite");
    // The picture on an example's button would be read as the button's own text over again.
    all('.cs-try img:not([alt=""])').forEach((picture) => picture.setAttribute("alt", ""));
    all("#cs-photo img[alt]").forEach((image) => {
      if (image.alt && image.alt !== say("script.your_photo")) image.alt = say("script.your_photo");
    });
    const example = state.wanted && one(`#cs-try-${CSS.escape(state.wanted)}`);
    if (example) {
      state.wanted = "";
      example.click();
    }
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

  settled(settle);
})();
