/* Annotation: the button on an answer of the Ask page that has people judge it, with the passages it was given from. */
(() => {
  "use strict";
  const { one, announce, place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button } = window.citesight.draw;

  /* To the tab, or to an item there. */
  const lead = (to = "#annotate") => button("Open Annotate", () => (location.hash = to), { class: "cs-send" });

  /* Below the button: which project, and what came of it. */
  async function open(pressed) {
    const box = h("div", { class: "cs-sending" });
    one(".cs-sending")?.remove();
    pressed.after(box);
    try {
      const { person } = await ask("me");
      const projects = person ? await ask("projects") : [];
      if (!person) box.append("Say on the Annotate tab who you are first.", lead());
      else if (!projects.length) box.append("There is no annotation project yet.", lead());
      else box.append(...choice(box, pressed.dataset.answer, projects));
    } catch (refused) {
      box.append(h("span", { role: "alert" }, refused.message));
    }
  }

  function choice(box, answer, projects) {
    const which = h("select", { "aria-label": "Project" }, projects.map(({ name }) => h("option", { value: name }, name)));
    const go = button("Send", async () => {
      go.disabled = true;
      try {
        const { new: fresh, position } = await ask("send", { project: which.value, answer });
        const said = fresh ? `It is in ${which.value} now.` : `${which.value} had this question; what is new of the answer was added.`;
        box.replaceChildren(said, lead(place.address({ page: "judge", project: which.value, part: position })));
        announce(said);
      } catch (refused) {
        box.replaceChildren(h("span", { role: "alert" }, refused.message));
      }
    }, { class: "cs-send" });
    return [which, go];
  }

  document.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element ? event.target.closest(".cs-send[data-answer]") : null;
    if (pressed) open(pressed);
  });
})();
