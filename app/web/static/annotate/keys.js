/* Annotation: the keys that judge, and the panel that tells which there are. Knows nothing of what they do. */
(() => {
  "use strict";
  const { say } = window.citesight;
  const { h } = window.citesight.draw;
  const { remembered, remember } = window.citesight.preferences;
  const KEYS = [
    ["1 … 9", say("annotate.key_judge")],
    ["↓ ↑", say("annotate.key_steps")],
    ["g", say("annotate.key_go")],
    ["u", say("annotate.key_undo")],
    ["m", say("annotate.key_mark")],
    ["y n", say("annotate.key_supports")],
    ["v", say("annotate.key_source")],
    ["c", say("annotate.key_comment")],
    ["Enter", say("annotate.key_enter")],
    ["s", say("annotate.key_aside")],
    ["l", say("annotate.key_mode")],
    ["+ − 0", say("annotate.key_zoom")],
    ["?", say("annotate.key_help")],
  ];
  const SILENT = "citesight-keys-off";
  let silent = remembered(SILENT, false);

  /* may: whether keys are for judging now. judge: told a grade's place; does: what other keys do; left: a field was
     left by Escape, shut: Escape was pressed elsewhere; help: shows the keys. */
  function listen({ may, judge, does, left, shut, help }) {
    document.addEventListener("keydown", (event) => {
      if (!may() || event.defaultPrevented) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target instanceof Element ? event.target : document.body;
      if (target.matches("input, textarea, select, [contenteditable]")) {
        if (event.key === "Escape") left();
        return;
      }
      const always = { "?": help, Escape: shut }[event.key];
      if (always) {
        always();
        return;
      }
      if (silent) return;
      const act = /^[1-9]$/.test(event.key) ? () => judge(Number(event.key) - 1) : does[event.key];
      if (!act) return;
      event.preventDefault();
      if (event.repeat && !event.key.startsWith("Arrow")) return; // a key that is held says one thing
      act();
    });
  }

  /* Shows the keys in a box, or takes them out of it. */
  function help(box) {
    if (box.querySelector(".ca-keys")) {
      box.replaceChildren();
      return;
    }
    const tick = h("input", { type: "checkbox", id: "ca-silent" });
    tick.checked = !silent;
    tick.addEventListener("change", () => (silent = remember(SILENT, !tick.checked)));
    box.replaceChildren(
      h(
        "div",
        { class: "ca-panel ca-keys" },
        h("dl", {}, KEYS.map(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)])),
        h("label", { for: "ca-silent" }, tick, " ", say("annotate.keys_judge")),
      ),
    );
  }

  window.citesight.keys = { listen, help };
})();
