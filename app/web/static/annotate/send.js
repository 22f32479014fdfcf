/* Annotation: the button on an answer of the Ask page that has people judge it, with the passages it was given from. */
(() => {
  "use strict";
  const { one, say, announce, place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button } = window.citesight.draw;

  /* To the tab, or to an item there. */
  const lead = (to = "#annotate") => button(say("script.open_annotate"), () => (location.hash = to), { class: "cs-send" });

  /* Below the button: which project, and what came of it. */
  async function open(pressed) {
    const box = h("div", { class: "cs-sending" });
    one(".cs-sending")?.remove();
    pressed.after(box);
    try {
      const { person } = await ask("me");
      const projects = person ? await ask("projects") : [];
      if (!person) box.append(say("script.who_first"), lead());
      else if (!projects.length) box.append(say("script.no_project"), lead());
      else box.append(...choice(box, pressed.dataset.answer, projects));
    } catch (refused) {
      box.append(h("span", { role: "alert" }, refused.message));
    }
  }

  function choice(box, answer, projects) {
    const which = h("select", { "aria-label": say("script.project") }, projects.map(({ name }) => h("option", { value: name }, name)));
    const go = button(say("script.send"), async () => {
      go.disabled = true;
      try {
        const { new: fresh, position } = await ask("send", { project: which.value, answer });
        const said = say(fresh ? "script.sent" : "script.sent_before", { project: which.value });
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
