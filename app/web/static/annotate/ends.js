/* Annotation: what stands in place of an item: nothing is left, or it is gone. Knows nothing of keys. */
(() => {
  "use strict";
  const { say, counted, place } = window.citesight;
  const { ask, hopeless } = window.citesight.server;
  const { h, button, problem } = window.citesight.draw;
  const elsewhere = () => button(say("annotate.what_to_judge"), () => place.go({ page: "judge" }));

  /* load: the next item. Gives the box for what one looks back at. */
  function nothingLeft(view, { project, mine }, load, lookBack) {
    const back = h("div", {});
    view.replaceChildren(
      h(
        "div",
        { class: "ca-panel ca-end" },
        h("h2", { tabindex: -1 }, say("annotate.nothing_left")),
        h("p", {}, counted("annotate.you_judged", mine.done, { project: project.name })),
        h("div", { class: "ca-row" }, button(say("annotate.look_again"), () => load()), button(say("annotate.what_judged"), lookBack)),
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
    if (there) row.prepend(button(say("annotate.next_item"), () => load()));
  }

  window.citesight.ends = { nothingLeft, gone };
})();
