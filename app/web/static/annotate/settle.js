/* Annotation: settling. What people said of a passage or an answer on which they differ, with all that they saw of it, and
   the final judgment, which can be given anew. Knows nothing of the rest of a project's page. */
(() => {
  "use strict";
  const { ask } = window.citesight.server;
  const { h, button, field, problem, table, when } = window.citesight.draw;
  const SHOWN = 10; // at a time

  const labelled = (each, key) => each.scale.find((grade) => grade.key === key)?.label ?? key;
  const words = (text, [from, to]) => Array.from(text).slice(from, to).join(""); // places count characters

  /* Where people differ, with the guidelines by which they judged. */
  async function differing(name, box) {
    const [found, project] = await Promise.all([ask("disagreements", { project: name }), ask("project", { project: name })]);
    const list = h("div", {});
    const more = h("div", { class: "ca-row" });
    const seen = new Set();
    const fresh = (all) => all.filter((each) => !seen.has(each.candidate.id));
    let waiting = [...found];
    const show = async () => {
      if (!waiting.length) waiting = fresh(await ask("disagreements", { project: name }));
      const some = waiting.splice(0, SHOWN);
      some.forEach((each) => seen.add(each.candidate.id));
      list.append(...some.map((each) => dispute(name, each)));
      const left = waiting.length > 0 || some.length === SHOWN;
      more.replaceChildren(...(left ? [button("Show more", () => show().catch((refused) => more.append(problem(refused.message))))] : []));
    };
    if (found.length) await show();
    const guidelines = found.length > 0 && window.citesight.guidelines(project, false);
    const heading = h("h3", {}, "Where people differ, what matters most first");
    box.replaceChildren(...(found.length ? [h("div", { class: "ca-panel" }, heading, guidelines, list, more)] : []), settled(name));
  }

  /* What was settled, newest first: a fold that asks whenever it is opened. */
  function settled(name) {
    const list = h("div", {});
    const more = h("div", { class: "ca-row" });
    let after = 0;
    const show = async () => {
      const found = await ask("settled", { project: name, after });
      after += found.settled.length;
      list.append(...found.settled.map((each) => folded(name, each)));
      if (!after) list.append(h("p", { class: "ca-faint" }, "Nothing was settled yet."));
      more.replaceChildren(...(found.more ? [button("Show more", safe)] : []));
    };
    const safe = () => show().catch((refused) => more.append(problem(refused.message)));
    const fold = h("details", { class: "ca-panel" }, h("summary", {}, "What was settled"), list, more);
    fold.addEventListener("toggle", (event) => {
      if (!fold.open || event.target !== fold) return;
      list.replaceChildren();
      after = 0;
      safe();
    });
    return fold;
  }

  function folded(name, each) {
    const called = `Item ${each.position} · ${each.question} · ${labelled(each, each.final.grade)} · by ${each.final.person}, ${when(each.final.at)}`;
    const fold = h("details", {}, h("summary", { dir: "auto" }, called));
    fold.addEventListener("toggle", () => fold.open && fold.children.length < 2 && fold.append(dispute(name, each)));
    return fold;
  }

  function dispute(name, each) {
    const { candidate } = each;
    const address = `annotation/photo/${encodeURIComponent(name)}/${each.item}`;
    const picture = each.photo && h("a", { class: "ca-enlarge", href: address, target: "_blank", rel: "noopener", title: "The whole photo, in a tab of its own" }, h("img", { src: address, alt: `Photo of item ${each.position}`, loading: "lazy" }));
    const facts = [`Item ${each.position}`, each.kind, !each.photo && "no photo", candidate.what].filter(Boolean).join(" · ");
    const title = [candidate.title, candidate.section].filter(Boolean).join(" › ");
    const references = each.references.length > 0 && h("div", {}, h("h5", {}, "Reference answers"), h("ul", {}, each.references.map((one) => h("li", { dir: "auto" }, one))));
    return h(
      "article",
      { class: "ca-dispute" },
      h(
        "div",
        { class: "ca-beside" },
        picture,
        h("div", {}, h("h4", { dir: "auto" }, each.question), h("p", { class: "ca-faint" }, facts), title && h("p", { class: "ca-faint" }, title), h("div", { class: "ca-text", dir: "auto" }, marked(each)), sources(candidate), references),
      ),
      ...judged(name, each),
    );
  }

  /* The text, with what anybody marked in it. */
  function marked({ candidate: { text }, judged: all }) {
    const letters = Array.from(text);
    const inside = letters.map((_, at) => all.some(({ span }) => span && span[0] <= at && at < span[1]));
    const edges = letters.map((_, at) => at).filter((at) => !at || inside[at] !== inside[at - 1]);
    return edges.map((from, at) => {
      const part = letters.slice(from, edges[at + 1]).join("");
      return inside[from] ? h("mark", {}, part) : part;
    });
  }

  function sources({ citations }) {
    if (!citations.length) return null;
    return h("ul", { class: "ca-citations" }, citations.map((cited) => h("li", {}, `[${cited.number}] `, h("b", {}, cited.title), cited.quotes.map((quote) => h("q", {}, quote)))));
  }

  /* What each said, and the final judgment. */
  function judged(name, each) {
    const said = h("p", { class: "ca-settled", "aria-live": "polite" });
    const [whole, comment] = field("Why (or nothing)", { maxlength: 10000, value: each.final?.comment ?? "" });
    let final = each.final?.grade ?? "";
    const settle = async (grade) => {
      try {
        each.final = await ask("settle", { project: name, item: each.item, candidate: each.candidate.id, grade, comment: comment.value });
        final = grade;
        show();
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
      }
    };
    comment.addEventListener("change", () => final && settle(final));
    const choices = each.scale.map((grade) => button(grade.label, () => settle(grade.key), { class: "ca-grade", "data-grade": grade.key }));
    function show() {
      said.textContent = final ? `Settled: ${labelled(each, final)}. By ${each.final.person}, ${when(each.final.at)}; another press settles it anew.` : "";
      choices.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.grade === final)));
    }
    show();
    return [people(each), whole, h("div", { class: "ca-grades", role: "group", "aria-label": "Final judgment" }, choices), said];
  }

  function people(each) {
    const { candidate } = each;
    const shown = each.judged.filter((one) => one.grade || one.comment || one.correction || one.citations);
    const found = [
      ["Judgment", (one) => (one.grade ? labelled(each, one.grade) : "no judgment")],
      ["Words marked", (one) => (one.span ? words(candidate.text, one.span) : "")],
      ["Sources", (one) => Object.entries(one.citations ?? {}).map(([number, good]) => `[${number}] ${good ? "supported" : "not supported"}`).join(", ")],
      ["Comment", (one) => one.comment ?? ""],
      ["Answer in their words", (one) => one.correction ?? ""],
    ].filter(([, of], at) => !at || shown.some(of));
    return table(["Person", ...found.map(([head]) => head)], shown.map((one) => [one.person, ...found.map(([, of]) => of(one))]), { label: "What each said" });
  }

  window.citesight.settle = { differing, judged };
})();
