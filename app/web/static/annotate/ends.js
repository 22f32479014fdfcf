/* Annotation: what stands in place of an item: nothing is left, or it is gone. Knows nothing of keys. */
(() => {
  "use strict";
  const { place } = window.citesight;
  const { ask, hopeless } = window.citesight.server;
  const { h, button, problem, counted } = window.citesight.draw;
  const elsewhere = () => button("What to judge", () => place.go({ page: "judge" }));

  /* load: the next item. Gives the box for what one looks back at. */
  function nothingLeft(view, { project, mine }, load, lookBack) {
    const back = h("div", {});
    view.replaceChildren(
      h(
        "div",
        { class: "ca-panel ca-end" },
        h("h2", { tabindex: -1 }, "Nothing is left for you here"),
        h("p", {}, `You have judged ${counted(mine.done, "item")} of ${project.name}. Others hold or have judged the rest, or nothing was looked for yet; what somebody holds becomes free in half an hour.`),
        h("div", { class: "ca-row" }, button("Look again", () => load()), button("What I judged", lookBack)),
        back,
      ),
    );
    view.querySelector("h2").focus();
    return back;
  }

  /* told: whether the page has said the sentence already. The next item is offered where its project is there yet. */
  async function gone(view, project, refused, told, load) {
    const row = h("div", { class: "ca-row" }, elsewhere());
    view.replaceChildren(told ? "" : problem(refused.message), row);
    const there = await ask("project", { project: project.name }).then(() => true, (why) => !hopeless(why));
    if (there) row.prepend(button("Next item", () => load()));
  }

  window.citesight.ends = { nothingLeft, gone };
})();
