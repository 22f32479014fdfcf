/* Annotation: coming in by a name, a password or an invitation, and the people that an owner keeps. */
(() => {
  "use strict";
  const { announce } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem, sure, table, when } = window.citesight.draw;
  const ROLES = [["annotator", "annotator: judges"], ["adjudicator", "adjudicator: settles too"], ["owner", "owner: runs projects too"]];

  /* me: as the server tells. entered: called once somebody is in. */
  function enter(view, me, entered) {
    const code = new URLSearchParams(location.search).get("invitation");
    if (code) return accept(view, me, code, entered);
    if (me.closed) return view.replaceChildren(h("div", { class: "ca-panel" }, h("h2", {}, "Annotation"), h("p", {}, me.closed)));
    if (me.hub) return view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, h("h2", {}, "Sign in to annotate"), account(), h("p", { class: "ca-faint" }, "Whoever runs this invites people by their Hugging Face user names, or gives them a link.")));
    return me.open ? name(view, me, entered) : password(view, entered);
  }

  function name(view, me, entered) {
    const [whole, typed] = field("Your name", { maxlength: 64, required: true, autocomplete: "username", list: "ca-names", placeholder: "ann" });
    const known = h("datalist", { id: "ca-names" }, me.people.map((each) => h("option", { value: each })));
    const go = async () => {
      await ask("enter", { name: typed.value });
      await entered();
    };
    view.replaceChildren(
      h(
        "div",
        { class: "ca-panel ca-enter" },
        h("h2", {}, "Judge the evidence"),
        h("p", {}, "Several people say of passages and answers whether they are right; what comes of it measures retrievers and trains them."),
        form([whole, known], "Begin", go),
        h("p", { class: "ca-faint" }, "On this machine a name is enough. Whoever is first runs the projects; invite a person, and everybody signs in with a password."),
      ),
    );
  }

  /* Where Hugging Face is asked who this is. It lets nobody do so within another site's page, as Spaces are first shown. */
  function account(code) {
    const framed = window.top !== window;
    const address = `annotation/sign-in/huggingface${code ? `?invitation=${encodeURIComponent(code)}` : ""}`;
    const link = h("a", { class: "ca-button ca-primary", href: address, ...(framed && { target: "_blank", rel: "noopener" }) }, "Sign in with Hugging Face");
    return h("p", {}, link, framed ? " in a tab of its own, where you then annotate." : "");
  }

  function password(view, entered) {
    const [who, named] = field("Name", { maxlength: 64, required: true, autocomplete: "username" });
    const [secret, typed] = field("Password", { type: "password", maxlength: 200, required: true, autocomplete: "current-password" });
    const go = async () => {
      await ask("sign-in", { name: named.value, password: typed.value });
      await entered();
    };
    view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, h("h2", {}, "Sign in to annotate"), form([who, secret], "Sign in", go), h("p", { class: "ca-faint" }, "No password, or forgotten? Whoever runs the program gives you a link: an owner on the People page, or by the command ", h("code", {}, "python -m app people invite NAME"), ".")));
  }

  async function accept(view, me, code, entered) {
    let person;
    try {
      person = await ask("invited", { code });
    } catch (refused) {
      const on = () => (forget(), entered());
      view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, problem(refused.message), button("Go on", on)));
      return;
    }
    const welcome = [h("h2", {}, `Welcome, ${person.name}`), h("p", {}, `You are invited as ${person.role}.`)];
    if (me.hub) return view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, ...welcome, account(code)));
    const [secret, typed] = field("A password of your own (10 characters or more, 5 of them different)", { type: "password", minlength: 10, maxlength: 200, required: true, autocomplete: "new-password" });
    const go = async () => {
      await ask("accept", { code, password: typed.value });
      forget();
      await entered();
    };
    const [self] = field("Name", { value: person.name, readonly: true, autocomplete: "username" });
    view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, ...welcome, form([self, secret], "Begin", go)));
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

  const copy = (link) => navigator.clipboard && h("div", { class: "ca-row" }, button("Copy", () => navigator.clipboard.writeText(link).then(() => announce("Copied."))));

  /* Whoever has just invited themselves, the first of all. */
  function first(view, link) {
    const why = "From now on everybody signs in here with a password. This link is yours alone: it works once, for a week, and it is not shown again.";
    const heading = h("h2", { tabindex: -1 }, "Open this link now and choose your password");
    view.replaceChildren(h("div", { class: "ca-panel ca-enter" }, heading, h("p", {}, why), h("a", { class: "ca-button ca-first", href: link }, "Choose my password"), h("code", { class: "ca-link" }, link), copy(link)));
    heading.focus();
  }

  async function open(view, me) {
    const list = h("div", {});
    const said = h("div", {});
    const invited = h("div", { "aria-live": "polite" });
    const [who, named] = field(me.hub ? "Hugging Face user name" : "Name", { maxlength: 64, required: true, placeholder: "bob" });
    const [as, role] = field("Role", {}, "select");
    role.append(...ROLES.map(([value, label]) => h("option", { value }, label)));
    if (me.open) {
      named.value = me.person.name;
      role.value = me.person.role;
    }
    const invite = async () => {
      const { code } = await ask("invite", { name: named.value, role: role.value });
      const link = invitation(code);
      if (me.open) return first(view, link); // from now on nobody is in, and nothing else can be asked for
      invited.replaceChildren(h("p", {}, `${me.hub ? `Whoever has the account ${named.value} can sign in now, within a week. Somebody with another account can by this link` : `Give this link to ${named.value}; it works`}, once, for a week, and it is not shown again:`), h("code", { class: "ca-link" }, link), copy(link));
      named.value = "";
      role.value = "annotator";
      await refresh();
    };
    function roles(each) {
      const choice = h("select", { "aria-label": `Role of ${each.name}` }, ROLES.map(([value]) => h("option", { value, selected: value === each.role }, value)));
      choice.addEventListener("change", () => ask("role", { name: each.name, role: choice.value }).then(refresh, (refused) => (said.replaceChildren(problem(refused.message)), refresh())));
      return choice;
    }
    async function refresh() {
      const found = await ask("people");
      const remove = (name) => () => ask("remove", { name }).then(refresh, (refused) => said.replaceChildren(problem(refused.message)));
      const way = (each) => [me.hub ? each.account && "Hugging Face" : each.password && "password", each.invited && `invited until ${when(each.invited)}`].filter(Boolean).join(", ") || (me.open ? "name alone" : "nothing yet: invite them");
      const rows = found.map((each) => [each.name, each.name === me.person.name ? each.role : roles(each), way(each), each.name === me.person.name ? "you" : sure(`Remove ${each.name}`, `Remove “${each.name}”? What they judged stays.`, "Remove", remove(each.name), "Do not")]);
      list.replaceChildren(table(["Person", "Role", "Signs in by", ""], rows, { label: "People" }));
    }
    const opened = me.open && h("p", { class: "ca-faint" }, "Nobody needs a password here yet. From the first invitation on everybody does, so the first is for you, under your own name, as owner.");
    view.replaceChildren(h("div", { class: "ca-panel" }, h("h2", {}, "People"), opened, list, said, h("h3", {}, me.hub ? "Invite somebody, or let them in with another account" : me.open ? "Invite yourself" : "Invite somebody, or give them a new password"), form([who, as], "Invite", invite), invited));
    await refresh();
  }

  window.citesight.people = { enter, open };
})();
