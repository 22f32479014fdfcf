/* Annotation: the tab. Who is there, which page of it is open, and whether what was said is saved. */
(() => {
  "use strict";
  const { one, settled, announce } = window.citesight;
  const { ask, signed, waiting, others, told } = window.citesight.server;
  const { h, button, problem, counted } = window.citesight.draw;
  const { work, projects, people } = window.citesight;
  const at = { root: null, me: null, view: null, saved: null, notice: null, retry: 0 };

  async function start() {
    at.view = h("div", { class: "ca-view" });
    at.saved = h("p", { class: "ca-saved", role: "status" });
    at.notice = h("div", { class: "ca-notice" });
    at.bar = h("div", { class: "ca-bar" });
    at.root.replaceChildren(at.bar, at.notice, at.view);
    await enter();
  }

  async function enter() {
    clearTimeout(at.retry);
    try {
      at.me = await ask("me");
    } catch (refused) {
      at.view.replaceChildren(refused.status === 503 ? h("p", { class: "ca-faint" }, refused.message) : problem(refused.message));
      at.retry = setTimeout(enter, 2_000);
      return;
    }
    const { person } = at.me;
    const invited = new URLSearchParams(location.search).has("invitation");
    signed(person && !invited ? person.name : "");
    at.notice.replaceChildren();
    if (!person || invited) {
      at.bar.replaceChildren();
      people.enter(at.view, at.me, enter);
      return;
    }
    bar(person);
    go("work");
  }

  function bar(person) {
    const rank = ["annotator", "adjudicator", "owner"].indexOf(person.role);
    const pages = [["work", "Judge"], rank > 0 && ["projects", "Projects"], rank > 1 && ["people", "People"]].filter(Boolean);
    at.links = pages.map(([page, label]) => button(label, () => go(page), { "data-page": page }));
    at.bar.replaceChildren(
      h("nav", { class: "ca-row", "aria-label": "Annotation" }, at.links),
      at.saved,
      h("span", { class: "ca-who" }, `${person.name}, ${person.role}`),
      button(at.me.open ? "Another name" : "Sign out", leave),
    );
    state();
  }

  async function leave() {
    try {
      await ask("sign-out");
    } catch {
      // It is asked again who is there.
    }
    work.close();
    await enter();
  }

  async function go(page) {
    work.close();
    projects.close();
    at.links.forEach((link) => link.setAttribute("aria-current", link.dataset.page === page ? "page" : "false"));
    const view = h("div", { class: "ca-view" });
    at.view.replaceWith(view);
    at.view = view;
    const opens = {
      work: () => choose(view),
      projects: () => projects.open(view, at.me.person.role === "owner"),
      people: () => people.open(view, at.me),
    };
    try {
      await opens[page]();
      if (at.view === view) view.querySelector(".ca-first, h2[tabindex]")?.focus({ preventScroll: true });
    } catch (refused) {
      if (at.view !== view) return;
      if (refused.status === 401) await enter();
      else view.replaceChildren(problem(refused.message), button("Try again", () => go(page)));
    }
  }

  async function choose(view) {
    const found = (await ask("projects")).filter((project) => project.items);
    if (at.view !== view) return;
    const owner = at.me.person.role === "owner";
    const none = owner ? "There is nothing to judge yet: make a project, add items, and have passages looked for." : "There is nothing to judge yet; whoever runs the projects will say when.";
    const start = (project) => work.open(view, project.name).catch((refused) => view.replaceChildren(problem(refused.message)));
    view.replaceChildren(
      h("h2", {}, "What to judge"),
      ...(found.length ? [] : [h("p", { class: "ca-faint" }, none), owner ? button("Make a project", () => go("projects")) : ""]),
      h(
        "div",
        { class: "ca-cards" },
        found.map((project) =>
          h("div", { class: "ca-panel" }, h("h3", {}, project.name), h("p", { class: "ca-faint" }, `${counted(project.items, "item")}; you have done ${project.mine.toLocaleString("en")}`), button("Judge", () => start(project), { class: "ca-button ca-first", "aria-label": `Judge ${project.name}` })),
        ),
      ),
    );
  }

  function state(refused) {
    if (!at.saved || !at.me?.person) return;
    const { count, undo, problem: why } = waiting();
    const among = undo ? ", an undo among them" : "";
    const words = count === 0 ? "Saved" : why ? `${counted(count, "change")} not saved yet${among}, kept in this browser. ${why} It is tried again.` : "Saving …";
    if (at.saved.textContent !== words) at.saved.textContent = words;
    at.saved.classList.toggle("ca-unsaved", Boolean(count && why));
    const left = others();
    if (left.length && !count) at.saved.textContent += `. ${counted(left.length, "change")} of ${left[0].person} wait here until they sign in again.`;
    if (refused?.status === 401 && !at.notice.firstChild) {
      at.notice.replaceChildren(h("p", { class: "cs-error", role: "alert" }, `${refused.message} What you said is kept in this browser. `, button("Go on", enter)));
    }
  }

  told((what, ...about) => {
    if (what === "waiting") state(about[0]);
    if (what === "refused") {
      at.notice.replaceChildren(problem(`Not saved: ${about[1]}`));
      announce(about[1]);
    }
    if (what === "saved") at.notice.replaceChildren();
  });

  settled(() => {
    const root = one("#ca-root");
    if (!root || root === at.root || !root.checkVisibility()) return;
    at.root = root;
    start();
  });
})();
