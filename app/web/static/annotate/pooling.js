/* Annotation: having passages and answers looked for, and how far that is. Knows nothing of the rest of a project's page. */
(() => {
  "use strict";
  const { say, counted, number } = window.citesight;
  const { ask, hopeless } = window.citesight.server;
  const { h, button, field, form, problem } = window.citesight.draw;
  const LOOK = 2_000; // milliseconds between two looks at what goes on

  /* again: shows the items anew; gone: told why there is nothing more to look at. */
  function pooling(name, again, { pooling: job, searches }, gone) {
    const box = h("div", { class: "ca-list" });
    let timer;
    const draw = (now) => {
      if (now?.state === "running") box.replaceChildren(running(now));
      else box.replaceChildren(...ended(now), starting());
    };
    const later = (wait = LOOK) => {
      clearTimeout(timer);
      timer = setTimeout(look, wait);
    };
    const look = async () => {
      if (!box.isConnected) return;
      try {
        const now = await ask("pooling", { project: name });
        if (!box.isConnected) return;
        draw(now);
        if (now?.state === "running") later();
        else await again();
      } catch (refused) {
        if (hopeless(refused)) gone(refused.message);
        else later(); // it goes on behind a lost connection
      }
    };
    function starting() {
      const [best, passages] = field(say("annotate.best"), { type: "number", min: 1, max: 100, value: 20, required: true });
      const [too, answers] = field(say("annotate.answers_too"), { type: "checkbox", checked: true });
      too.classList.add("ca-tick");
      const begin = async () => {
        draw(await ask("pool", { project: name, passages: Number(passages.value), answers: answers.checked }));
        later(300);
      };
      return form([best, too], say("annotate.look_for"), begin);
    }
    function running(now) {
      const share = now.total ? (100 * now.done) / now.total : 0;
      const far = now.total ? say(now.remaining ? "annotate.far_left" : "annotate.far", { done: number(now.done), items: counted("annotate.items", now.total), time: now.remaining }) : say("annotate.beginning");
      const stop = button(say(now.stopping ? "annotate.stopping" : "label.stop"), async () => draw(await ask("stop-pooling", { project: name })), { "data-key": "stop pooling" });
      const bar = h("div", { class: "cs-progress", role: "progressbar", "aria-label": say("annotate.looking_for"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share) }, h("i", { style: `width:${share}%` }));
      return h("div", { class: "ca-list" }, h("p", {}, far), bar, h("div", { class: "ca-row" }, stop));
    }
    function ended(now) {
      const about = h("p", { class: "ca-faint" }, say("annotate.pool_about", { searches }));
      if (!now) return [about];
      if (now.state === "failed") return [about, problem(now.error)];
      const came = now.added ? counted("annotate.came", now.added) : say("annotate.came_none");
      return [about, h("p", {}, now.state === "stopped" ? say("annotate.pool_stopped") : say("annotate.pool_done", { came }))];
    }
    draw(job);
    if (job?.state === "running") later();
    return h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.pool_heading")), box);
  }

  window.citesight.pooling = pooling;
})();
