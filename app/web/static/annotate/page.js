/* Annotation: the tab. Who is there, which page of it is open, and whether what was said is saved. */
(() => {
  "use strict";
  const { one, settled, announce, say, counted, number } = window.citesight;
  const { ask, signed, waiting, others, told } = window.citesight.server;
  const { h, button, problem, ended } = window.citesight.draw;
  const { work, projects, people, place } = window.citesight;
  const RANKS = ["annotator", "adjudicator", "owner"];
  const ROLES = { annotator: "annotate.annotator", adjudicator: "annotate.adjudicator", owner: "annotate.owner" };
  const PAGES = [["judge", say("annotate.judge")], ["projects", say("annotate.projects")], ["people", say("annotate.people")]]; // by the rank from which on
  const at = { root: null, me: null, view: null, saved: null, notice: null, retry: 0, out: false, lost: false };

  async function start() {
    at.view = h("div", { class: "ca-view" });
    at.saved = h("p", { class: "ca-saved", role: "status" });
    at.notice = h("div", { class: "ca-notice" });
    at.bar = h("div", { class: "ca-bar" });
    const top = h("div", { class: "ca-top" }, at.bar, at.notice); // stays in sight, and nothing lies under it
    new ResizeObserver(() => at.root.style.setProperty("--ca-top", `${top.offsetHeight}px`)).observe(top);
    at.root.replaceChildren(top, at.view);
    await enter();
  }

  /* Whoever comes in sees nothing that was loaded for another; what was half typed is kept for whoever typed it. */
  async function enter() {
    clearTimeout(at.retry);
    work.close();
    projects.close();
    cleared();
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
    at.out = false;
    at.notice.replaceChildren();
    if (!person || invited) {
      at.bar.replaceChildren();
      people.enter(at.view, at.me, enter);
      return;
    }
    bar(person);
    await open(place.here());
  }

  function bar(person) {
    const pages = PAGES.slice(0, RANKS.indexOf(person.role) + 1);
    at.links = pages.map(([page, label]) => button(label, () => place.go({ page }), { "data-page": page }));
    at.bar.replaceChildren(
      h("nav", { class: "ca-row", "aria-label": say("annotate.annotation") }, at.links),
      at.saved,
      (at.who = h("span", { class: "ca-who" })),
      (at.leave = button(say(at.me.open ? "annotate.another_name" : "annotate.sign_out"), leave)),
    );
    state();
  }

  /* The page is somebody's who is not signed in any more. */
  function out(refused) {
    if (at.out || !at.me?.person) return;
    at.out = true;
    const kept = waiting().count ? say("annotate.kept_said") : "";
    at.notice.replaceChildren(h("p", { class: "cs-error", role: "alert" }, `${refused.message} ${kept} `, button(say("annotate.go_on"), enter)));
    state();
  }

  function cleared() {
    const view = h("div", { class: "ca-view" });
    at.view.replaceWith(view);
    return (at.view = view);
  }

  async function leave() {
    try {
      await ask("sign-out");
    } catch {
      // It is asked again who is there.
    }
    work.close();
    place.put({ page: "judge" }, "replaceState"); // whoever comes next begins at the beginning
    await enter();
  }

  async function open(to) {
    if (!at.me?.person || !at.links) return; // the address waits until somebody is in
    if (to.page === "projects" && !to.project && at.me.person.role === RANKS[0]) return place.go({ page: "judge" }, "replaceState");
    if (to.page === "judge" && work.turned(to.project, Number(to.part))) return;
    work.close();
    projects.close();
    if (!at.out) at.notice.replaceChildren();
    at.lost = false;
    state();
    at.links.forEach((link) => link.setAttribute("aria-current", link.dataset.page === to.page ? "page" : "false"));
    const view = cleared();
    const owner = at.me.person.role === "owner";
    const opens = {
      judge: () => (to.project ? work.open(view, to.project, Number(to.part)) : choose(view)),
      projects: () => projects.open(view, owner, to),
      people: () => people.open(view, at.me),
    };
    try {
      await opens[to.page]();
      if (at.view === view && !(to.page === "judge" && to.project)) view.querySelector(".ca-first, h2[tabindex]")?.focus({ preventScroll: true });
    } catch (refused) {
      if (at.view !== view) return;
      if (refused.status === 401) await enter();
      else view.replaceChildren(problem(refused.message), h("div", { class: "ca-row" }, button(say("annotate.again"), () => open(to))));
    }
  }

  async function choose(view) {
    const found = (await ask("projects")).filter((project) => project.pooled);
    if (at.view !== view) return;
    const owner = at.me.person.role === "owner";
    const none = say(owner ? "annotate.none_owner" : "annotate.none_yet");
    const start = (project) => place.go({ page: "judge", project: project.name });
    view.replaceChildren(
      h("h2", {}, say("annotate.what_to_judge")),
      ...(found.length ? [] : [h("p", { class: "ca-faint" }, none), owner ? button(say("annotate.make_one"), () => place.go({ page: "projects" })) : ""]),
      h(
        "div",
        { class: "ca-cards" },
        found.map((project) =>
          h("div", { class: "ca-panel" }, h("h3", {}, project.name), h("p", { class: "ca-faint" }, say("annotate.items_done_mine", { items: counted("annotate.items", project.items), done: number(project.mine) })), button(say("annotate.judge"), () => start(project), { class: "ca-button ca-first", "aria-label": say("annotate.judge_named", { name: project.name }) })),
        ),
      ),
    );
  }

  function state() {
    if (!at.who || !at.me?.person) return;
    const { name, role } = at.me.person;
    at.who.textContent = at.out ? say("annotate.who_out", { name }) : say("annotate.who", { name, role: say(ROLES[role]) });
    at.leave.hidden = at.out;
    const { count, undo, problem: why } = waiting();
    const words = count === 0 ? (at.out || at.lost ? "" : say("annotate.saved")) : why ? counted(undo ? "annotate.unsaved_undo" : "annotate.unsaved", count, { why }) : say("annotate.saving");
    if (at.saved.textContent !== words) at.saved.textContent = words;
    at.saved.classList.toggle("ca-unsaved", Boolean(count && why));
    const left = others();
    if (left.length && !count) at.saved.textContent = `${words && ended(words)} ${counted("annotate.left", left.length, { person: left[0].person })}`;
  }

  /* What was done in another tab, or elsewhere, is counted when one looks here again. */
  document.addEventListener("visibilitychange", async () => {
    const to = place.here();
    if (document.hidden || !at.links || !at.me?.person || to.page !== "judge" || to.project) return;
    const label = document.activeElement?.getAttribute("aria-label") ?? "";
    await choose(at.view).catch(() => {}); // what is there stays
    if (label) at.view.querySelector(`[aria-label="${CSS.escape(label)}"]`)?.focus();
  });

  place.opened(open);
  told((what, ...about) => {
    if (what === "waiting") state();
    if (what === "out") out(about[0]);
    if (what === "refused") {
      at.notice.replaceChildren(problem(say("annotate.not_saved", { why: about[1] })));
      at.lost = true;
      state();
      announce(about[1]);
    }
    if (what === "saved") {
      at.notice.replaceChildren();
      at.lost = false;
      at.out = false; // signed in again in another tab
      state();
    }
  });

  settled(() => {
    const root = one("#ca-root");
    if (!root || root === at.root || !root.checkVisibility()) return;
    at.root = root;
    start();
  });
})();
