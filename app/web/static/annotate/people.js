/* Annotation: coming in by a name, a password or an invitation, and the people that an owner keeps. */
(() => {
  "use strict";
  const { announce, say } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem, sure, table, listed, when } = window.citesight.draw;
  const ROLES = { annotator: "annotate.annotator", adjudicator: "annotate.adjudicator", owner: "annotate.owner" };
  const DOES = { annotator: "annotate.annotator_does", adjudicator: "annotate.adjudicator_does", owner: "annotate.owner_does" };

  /* me: as the server tells. entered: called once somebody is in. */
  function enter(view, me, entered) {
    const code = new URLSearchParams(location.search).get("invitation");
    if (code) return accept(view, me, code, entered);
    if (me.closed) return view.replaceChildren(h("div", { class: "ca-panel" }, h("h2", {}, say("annotate.annotation")), h("p", {}, me.closed)));
    if (me.hub) return view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, h("h2", {}, say("annotate.sign_in_to")), account(), h("p", { class: "ca-faint" }, say("annotate.hub_about"))));
    return me.open ? name(view, me, entered) : password(view, entered);
  }

  function name(view, me, entered) {
    const [whole, typed] = field(say("annotate.your_name"), { maxlength: 64, required: true, autocomplete: "username", list: "ca-names", placeholder: "ann" });
    const known = h("datalist", { id: "ca-names" }, me.people.map((each) => h("option", { value: each })));
    const go = async () => {
      await ask("enter", { name: typed.value });
      await entered();
    };
    view.replaceChildren(
      h(
        "div",
        { class: "ca-panel ca-enter" },
        h("h2", {}, say("annotate.judge_evidence")),
        h("p", {}, say("annotate.judge_about")),
        form([whole, known], say("annotate.begin"), go),
        h("p", { class: "ca-faint" }, say("annotate.name_enough")),
      ),
    );
  }

  /* Where Hugging Face is asked who this is. It lets nobody do so within another site's page, as Spaces are first shown. */
  function account(code) {
    const framed = window.top !== window;
    const address = `annotation/sign-in/huggingface${code ? `?invitation=${encodeURIComponent(code)}` : ""}`;
    const link = h("a", { class: "ca-button ca-primary", href: address, ...(framed && { target: "_blank", rel: "noopener" }) }, say("annotate.hub_sign_in"));
    return h("p", {}, link, framed ? ` ${say("annotate.hub_own_tab")}` : "");
  }

  function password(view, entered) {
    const [who, named] = field(say("annotate.name"), { maxlength: 64, required: true, autocomplete: "username" });
    const [secret, typed] = field(say("annotate.password"), { type: "password", maxlength: 200, required: true, autocomplete: "current-password" });
    const go = async () => {
      await ask("sign-in", { name: named.value, password: typed.value });
      await entered();
    };
    view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, h("h2", {}, say("annotate.sign_in_to")), form([who, secret], say("annotate.sign_in"), go), h("p", { class: "ca-faint" }, say("annotate.forgotten"), " ", h("code", { dir: "ltr" }, "python -m app people invite NAME"))));
  }

  async function accept(view, me, code, entered) {
    let person;
    try {
      person = await ask("invited", { code });
    } catch (refused) {
      const on = () => (forget(), entered());
      view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, problem(refused.message), button(say("annotate.go_on"), on)));
      return;
    }
    const welcome = [h("h2", {}, say("annotate.welcome", { name: person.name })), h("p", {}, say("annotate.invited_as", { role: say(ROLES[person.role]) }))];
    if (me.hub) return view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, ...welcome, account(code)));
    const [secret, typed] = field(say("annotate.own_password"), { type: "password", minlength: 10, maxlength: 200, required: true, autocomplete: "new-password" });
    const go = async () => {
      await ask("accept", { code, password: typed.value });
      forget();
      await entered();
    };
    const [self] = field(say("annotate.name"), { value: person.name, readonly: true, autocomplete: "username" });
    view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, ...welcome, form([self, secret], say("annotate.begin"), go)));
  }

  /* The code is used up; it need not stay in the address. */
  function forget() {
    const address = new URL(location.href);
    address.searchParams.delete("invitation");
    history.replaceState(history.state, "", address);
  }

  function invitation(code) {
    const link = new URL(location.pathname, location.href);
    link.searchParams.set("invitation", code);
    link.hash = "annotate";
    return link.href;
  }

  const copy = (link) => navigator.clipboard && h("div", { class: "ca-row" }, button(say("script.copy"), () => navigator.clipboard.writeText(link).then(() => announce(say("script.copied")))));

  /* Whoever has just invited themselves, the first of all. */
  function first(view, link) {
    const why = say("annotate.first_why");
    const heading = h("h2", { tabindex: -1 }, say("annotate.first_heading"));
    view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, heading, h("p", {}, why), h("a", { class: "ca-button ca-first", href: link }, say("annotate.first_choose")), h("code", { class: "ca-link" }, link), copy(link)));
    heading.focus();
  }

  async function open(view, me) {
    const list = h("div", {});
    const said = h("div", {});
    const invited = h("div", { "aria-live": "polite" });
    const [who, named] = field(say(me.hub ? "annotate.hub_user" : "annotate.name"), { maxlength: 64, required: true, placeholder: "bob" });
    const [as, role] = field(say("annotate.role"), {}, "select");
    role.append(...Object.entries(DOES).map(([value, does]) => h("option", { value }, say(does))));
    if (me.open) {
      named.value = me.person.name;
      role.value = me.person.role;
    }
    const invite = async () => {
      const { code } = await ask("invite", { name: named.value, role: role.value });
      const link = invitation(code);
      if (me.open) return first(view, link); // from now on nobody is in, and nothing else can be asked for
      invited.replaceChildren(h("p", {}, say(me.hub ? "annotate.given_hub" : "annotate.given", { name: named.value })), h("code", { class: "ca-link" }, link), copy(link));
      named.value = "";
      role.value = "annotator";
      await refresh();
    };
    function roles(each) {
      const choice = h("select", { "aria-label": say("annotate.role_of", { name: each.name }) }, Object.entries(ROLES).map(([value, role]) => h("option", { value, selected: value === each.role }, say(role))));
      choice.addEventListener("change", () => ask("role", { name: each.name, role: choice.value }).then(refresh, (refused) => (said.replaceChildren(problem(refused.message)), refresh())));
      return choice;
    }
    async function refresh() {
      const found = await ask("people");
      const remove = (name) => () => ask("remove", { name }).then(refresh, (refused) => said.replaceChildren(problem(refused.message)));
      const way = (each) => listed(me.hub ? each.account && "Hugging Face" : each.password && say("annotate.by_password"), each.invited && say("annotate.invited_until", { when: when(each.invited) })) || say(me.open ? "annotate.name_alone" : "annotate.by_nothing");
      const rows = found.map((each) => [each.name, each.name === me.person.name ? say(ROLES[each.role]) : roles(each), way(each), each.name === me.person.name ? say("annotate.you") : sure(say("annotate.remove_named", { name: each.name }), say("annotate.remove_sure", { name: each.name }), say("annotate.remove"), remove(each.name), say("annotate.do_not"))]);
      list.replaceChildren(table([say("annotate.person"), say("annotate.role"), say("annotate.signs_in"), ""], rows, { label: say("annotate.people") }));
    }
    const opened = me.open && h("p", { class: "ca-faint" }, say("annotate.opened_about"));
    view.replaceChildren(h("div", { class: "ca-panel" }, h("h2", {}, say("annotate.people")), opened, list, said, h("h3", {}, say(me.hub ? "annotate.invite_account" : me.open ? "annotate.invite_self" : "annotate.invite_other")), form([who, as], say("annotate.invite"), invite), invited));
    await refresh();
  }

  window.citesight.people = { enter, open };
})();
