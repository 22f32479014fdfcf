/* Annotation: what is asked about an item, and the guidelines of its project. */
(() => {
  "use strict";
  const { say } = window.citesight;
  const { h, dotted } = window.citesight.draw;

  function question(item) {
    const facts = dotted(say("annotate.item", { number: item.position }), item.kind, !item.photo && say("annotate.no_photo"));
    const answers = item.references.map((each) => h("li", { dir: "auto" }, each));
    return h(
      "div",
      { class: "ca-panel ca-ask" },
      h("h2", { class: "ca-question", dir: "auto" }, item.question),
      h("p", { class: "ca-faint" }, facts),
      item.said?.skipped && h("p", { class: "ca-faint" }, say("annotate.put_aside_for", { reason: item.said.skipped })),
      answers.length > 0 && h("details", {}, h("summary", {}, say("annotate.references")), h("ul", {}, answers)),
    );
  }

  function guidelines(project, open) {
    if (!project.guidelines) return null;
    const words = h("div", { class: "ca-guidelines", dir: "auto" });
    words.innerHTML = project.guidelines; // made safe by the server: Markdown without tags, scripts or pictures
    return h("details", { class: "ca-panel", open }, h("summary", {}, say("annotate.guidelines")), words);
  }

  window.citesight.question = question;
  window.citesight.guidelines = guidelines;
})();
