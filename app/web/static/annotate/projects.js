/* Annotation: the page of who runs a project: how it goes, how people agree, what goes in and what
   comes out. */
(() => {
  "use strict";
  const { announce, place, say, counted, number } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem, sure, table, lines, interval, when } = window.citesight.draw;
  const PACK = 25; // photographs that are uploaded at a time
  const PACK_BYTES = 25_000_000;
  const WRONG = 50; // lines that cannot be taken, of which each is told
  const at = { view: null };

  /* to: the place; its project's page, or the list of all. */
  async function open(view, owner, to) {
    close();
    at.view = view;
    if (to.project) return show(view, owner, to);
    const list = h("div", { class: "ca-cards" });
    const making = owner && window.citesight.making();
    view.replaceChildren(h("h2", {}, say("annotate.projects")), list, making || "");
    const found = await ask("projects");
    if (at.view !== view) return;
    if (making && !found.length) making.open = true;
    list.append(
      ...found.map((project) =>
        h(
          "div",
          { class: "ca-panel" },
          h("h3", {}, project.name),
          h("p", { class: "ca-faint" }, say("annotate.listed", { items: counted("annotate.items", project.items), done: number(project.finished) })),
          button(say("annotate.open"), () => place.go({ page: "projects", project: project.name }), { "aria-label": say("annotate.open_named", { name: project.name }) }),
        ),
      ),
    );
    if (!found.length) list.append(h("p", { class: "ca-faint" }, say("annotate.no_project")));
  }

  function close() {
    at.view = null;
  }

  async function show(view, owner, { project: name, part }) {
    const parts = { whole: h("div", { class: "ca-list" }), differ: h("div", { class: "ca-list" }), items: h("div", {}) };
    const back = button(say("annotate.all_projects"), () => place.go({ page: "projects" }));
    if (/^\d+$/.test(part)) {
      const up = button(name, () => place.go({ page: "projects", project: name }));
      view.replaceChildren(h("div", { class: "ca-row" }, back, up));
      await window.citesight.item(view, name, Number(part));
      return;
    }
    const loading = h("p", { class: "ca-faint" }, say("annotate.loading"));
    view.replaceChildren(h("div", { class: "ca-row" }, back), h("h2", {}, name), loading);
    // Somebody deleted the project while its page is open.
    const gone = (sentence) => at.view === view && view.replaceChildren(h("div", { class: "ca-row" }, back), h("h2", {}, name), problem(sentence));
    // Whatever changes the items of the project has them, and how it goes, shown anew.
    const again = async () => {
      const found = await ask("overview", { project: name });
      if (at.view === view) draw(found, parts);
      await items(name, parts, owner);
      return found;
    };
    try {
      const found = await again();
      if (at.view !== view) return;
      const compared = comparing(name);
      const own = owner ? [guiding(name, found.guidelines), filling(name, again, !found.items), window.citesight.pooling(name, again, found, gone)] : [];
      loading.replaceWith(parts.whole, ...own, compared, parts.differ, parts.items, ...(owner ? [leaving(name, found), deleting(name)] : []));
      if (part === "compare") {
        compared.open = true;
        compared.scrollIntoView({ block: "start" });
      }
      await window.citesight.settle.differing(name, parts.differ);
    } catch (refused) {
      if (loading.isConnected) loading.replaceWith(problem(refused.message));
      else parts.differ.replaceChildren(problem(refused.message));
    }
  }

  function comparing(name) {
    const fold = window.citesight.compare(name);
    fold.addEventListener("toggle", () => fold.isConnected && place.put({ page: "projects", project: name, part: fold.open ? "compare" : "" }, "replaceState"));
    return fold;
  }

  function draw(found, parts) {
    const share = found.items ? Math.round((100 * found.finished) / found.items) : 0;
    const far = {
      done: number(found.finished),
      items: counted("annotate.items", found.items),
      people: counted("annotate.persons", found.judges),
      waiting: counted("annotate.items", found.waiting),
      judgments: counted("annotate.judgments", found.judgments),
      blind: say(found.blind ? "annotate.blind" : "annotate.not_blind"),
    };
    parts.whole.replaceChildren(
      h(
        "div",
        { class: "ca-panel" },
        h("p", {}, say(found.waiting > 0 ? "annotate.how_far_waits" : "annotate.how_far", far)),
        h("div", { class: "cs-progress", role: "progressbar", "aria-label": say("annotate.items_finished"), "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": share }, h("i", { style: `width:${share}%` })),
        people(found.people),
      ),
      agreement(found.agreement),
      ...gold(found.gold),
      ...removed(found.removed),
    );
  }

  function people(workers) {
    if (!workers.length) return h("p", { class: "ca-faint" }, say("annotate.nobody_begun"));
    const heads = ["annotate.person", "annotate.judgments_head", "annotate.items_done", "annotate.aside_head", "annotate.an_hour", "annotate.last"].map((head) => say(head));
    const rows = workers.map((each) => [each.name, each.judged, each.done, each.skipped, each.pace ? Math.round(each.pace) : "", each.last ? when(each.last) : ""].map(String));
    return table(heads, rows, { label: say("annotate.progress_by") });
  }

  const figure = (measured) => (measured ? interval(measured, 2) : "–");

  function agreement(told) {
    const rows = Object.entries(told).flatMap(([what, found]) => {
      const row = (label, each) => [label, number(each.candidates), figure(each.plain), figure(each.nominal), figure(each.ordinal)];
      if (!found.overall.candidates) return [];
      return [
        row(say(what === "answer" ? "annotate.answers_row" : "annotate.passages_row"), found.overall),
        ...Object.entries(found.by_person).map(([person, each]) => row(say("annotate.with_others", { person }), each)),
        ...Object.entries(found.by_kind).filter(([kind]) => kind).map(([kind, each]) => row(`… ${kind}`, each)),
      ];
    });
    const heads = ["annotate.agreement_on", "annotate.judged_several", "annotate.pairs", "annotate.alpha_nominal", "annotate.alpha_ordinal"].map((head) => say(head));
    const none = h("p", { class: "ca-faint" }, say("annotate.agreement_none"));
    const about = h("p", { class: "ca-faint" }, say("annotate.agreement_about"));
    return h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.agreement")), ...(rows.length ? [table(heads, rows, { label: say("annotate.agreement") }), about] : [none]));
  }

  function gold(told) {
    if (!told.candidates && !told.waiting) return [];
    const rows = told.people.map((each) => [each.name, String(each.judged), String(each.right), figure(each.share)]);
    const waits = told.waiting ? ` ${counted("annotate.gold_waiting", told.waiting)}` : "";
    const about = h("p", { class: "ca-faint" }, `${counted("annotate.gold_about", told.candidates)}${waits}`);
    return [h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.gold_heading")), about, rows.length ? table(["annotate.person", "annotate.judged_head", "annotate.right_head", "annotate.share_head"].map((head) => say(head)), rows, { label: say("annotate.gold") }) : "")];
  }

  function removed(gone) {
    if (!gone.length) return [];
    const rows = gone.map((each) => [each.key, each.question, each.person, when(each.at)]);
    return [h("details", { class: "ca-panel" }, h("summary", {}, counted("annotate.removed", gone.length)), table(["annotate.id_head", "annotate.question", "annotate.by_head", "annotate.when"].map((head) => say(head)), rows, { label: say("annotate.removed_items") }))];
  }

  /* Items */

  /* open: as long as there are none. */
  function filling(name, again, open) {
    const [asked, question] = field(say("annotate.question"), { dir: "auto", maxlength: 2000, required: true });
    const [shown, photo] = field(say("annotate.photo_field"), { type: "file", accept: window.citesight.photos });
    const [known, references] = field(say("annotate.references_field"), { rows: 2, dir: "auto" }, "textarea");
    const said = h("div", {});
    const came = h("div", {}); // of a file
    const one = async () => {
      const [path = ""] = photo.files[0] ? await uploaded([photo.files[0]]) : [];
      const right = references.value.split("\n").map((line) => line.trim()).filter(Boolean);
      const { added, kept } = await ask("add", { project: name, question: question.value, photo: path, references: right });
      const words = say(added ? "annotate.added" : kept ? "annotate.item_kept" : "annotate.item_there");
      said.replaceChildren(h("p", {}, words));
      announce(words);
      question.value = references.value = photo.value = "";
      await again();
      question.focus();
    };
    const [list, file] = field(say("annotate.file_field"), { type: "file", accept: ".jsonl,.json,.txt,.csv,.tsv", required: true });
    const [pictures, photos] = field(say("annotate.photos_field"), { type: "file", accept: window.citesight.photos, multiple: true });
    const many = async () => {
      try {
        await fromFile(name, file.files[0], [...photos.files], came);
      } catch (refused) {
        came.replaceChildren();
        throw refused;
      } finally {
        await again(); // also what went in before something went wrong
      }
    };
    return h(
      "details",
      { class: "ca-panel", open },
      h("summary", {}, say("annotate.add_items")),
      form([asked, shown, known], say("annotate.add_item"), one),
      said,
      form([list, pictures], say("annotate.add_file"), many),
      came,
    );
  }

  /* Where the server put these files, in their order. */
  async function uploaded(files) {
    const body = new FormData();
    files.forEach((file) => body.append("files", file));
    let response;
    try {
      response = await fetch("gradio_api/upload", { method: "POST", body });
    } catch {
      throw new Error(say("annotate.upload_lost"));
    }
    const names = files.length > 1 ? say("annotate.from_to", { first: files[0].name, last: files.at(-1).name }) : files[0].name;
    if (!response.ok) throw new Error(say("annotate.not_stored", { names, why: (await response.text()).slice(0, 200) }));
    return response.json();
  }

  /* Files in lists that go up together: not one by one, of which an hour has few, nor more than go at a time. */
  function packed(files) {
    const packs = [];
    let size = 0;
    for (const file of files) {
      if (!packs.length || packs.at(-1).length >= PACK || size + file.size > PACK_BYTES) {
        packs.push([]);
        size = 0;
      }
      packs.at(-1).push(file);
      size += file.size;
    }
    return packs;
  }

  /* The photographs and the list go up; the server takes the list in parts, says what it cannot take, and adds the
     rest. */
  async function fromFile(name, file, photos, said) {
    const far = (sentence) => said.replaceChildren(h("p", { class: "ca-faint" }, sentence));
    const stored = {};
    let done = 0;
    for (const pack of packed(photos)) {
      far(counted("annotate.uploaded", photos.length, { done: number(done) }));
      const paths = await uploaded(pack);
      pack.forEach((each, place) => (stored[each.name] = paths[place]));
      done += pack.length;
    }
    far(say("annotate.uploading_list"));
    const [list] = await uploaded([file]);
    const sum = { added: 0, unchanged: 0, skipped: [], notes: [], more: 0 };
    for (let after = 0; after !== null; ) {
      const part = await ask("add-file", { project: name, list, photos: stored, after });
      const shown = part.skipped.slice(0, WRONG - sum.skipped.length);
      sum.skipped.push(...shown);
      sum.notes.push(...part.notes);
      sum.more += part.more + part.skipped.length - shown.length;
      sum.added += part.added;
      sum.unchanged += part.unchanged;
      after = part.after;
      if (after !== null) far(say("annotate.lines_read", { lines: counted("annotate.lines", after), items: counted("annotate.new_items", sum.added) }));
    }
    taken(sum, said);
  }

  function taken({ added, unchanged, skipped, notes, more }, said) {
    const lost = skipped.length + more;
    const whole = say(lost ? "annotate.taken_lost" : "annotate.taken", { items: counted("annotate.new_items", added), there: number(unchanged), lines: counted("annotate.lines", lost) });
    announce(whole);
    const told = ([where, why]) => h("li", {}, say("annotate.where_why", { where, why }));
    const wrong = skipped.map(told);
    said.replaceChildren(
      h("p", {}, whole),
      notes.length ? h("ul", { class: "ca-faint" }, notes.slice(0, WRONG).map(told), notes.length > WRONG && h("li", {}, say("annotate.and_more", { count: number(notes.length - WRONG) }))) : "",
      lost ? h("ul", { class: "ca-wrong" }, wrong, more > 0 && h("li", {}, say("annotate.and_more", { count: number(more) }))) : "",
    );
  }

  async function items(name, parts, owner) {
    const heads = ["annotate.item_head", "annotate.question", "annotate.photo_head", "annotate.to_judge", "annotate.done_by", "annotate.held_by"].map((head) => say(head));
    const shown = table(heads, [], { label: say("annotate.items_heading") });
    const list = shown.querySelector("tbody");
    const more = h("div", {});
    const asked = (each) => (owner ? h("a", { href: place.address({ page: "projects", project: name, part: each.position }), dir: "auto" }, each.question) : h("span", { dir: "auto" }, each.question));
    let after = 0;
    const page = async () => {
      const found = await ask("items", { project: name, after });
      after = found.at(-1)?.position;
      list.append(...lines(heads, found.map((each) => [String(each.position), asked(each), say(each.photo ? "annotate.yes" : "annotate.no"), String(each.candidates), String(each.done), String(each.held)])));
      more.replaceChildren(...(found.length === 50 ? [button(say("annotate.more_items"), page)] : []));
    };
    await page();
    parts.items.replaceChildren(...(list.firstChild ? [h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.items_heading")), shown, more)] : []));
  }

  function guiding(name, now) {
    const [whole, text] = field(say("annotate.guiding_field"), { rows: 10, dir: "auto", maxlength: 100000, value: now }, "textarea");
    const said = h("p", { class: "ca-settled", "aria-live": "polite" });
    const change = async () => {
      await ask("guidelines", { project: name, guidelines: text.value });
      said.textContent = say("annotate.guidelines_changed");
    };
    return h("details", { class: "ca-panel" }, h("summary", {}, say("annotate.guidelines")), form([whole], say("annotate.change_guidelines"), change, { class: "ca-form ca-wide" }), said);
  }

  function leaving(name, found) {
    const labels = { zip: say("annotate.everything"), jsonl: say("annotate.jsonl_only") };
    const link = (format) => h("a", { class: "ca-button", href: `annotation/export/${encodeURIComponent(name)}/${format}`, download: "" }, labels[format] ?? format);
    return h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.comes_out")), h("div", { class: "ca-row" }, found.formats.map(link)));
  }

  function deleting(name) {
    const said = h("div", {});
    const gone = async () => {
      try {
        await ask("delete", { project: name });
      } catch (refused) {
        said.replaceChildren(problem(refused.message));
        return;
      }
      announce(say("annotate.deleted", { name }));
      place.go({ page: "projects" }, "replaceState");
    };
    const question = async () => {
      const { items: whole, judgments, people: workers } = await ask("overview", { project: name });
      const judged = judgments ? say("annotate.judgments_of", { judgments: counted("annotate.judgments", judgments), people: counted("annotate.persons", workers.filter((each) => each.judged).length) }) : say("annotate.no_judgment");
      return say("annotate.delete_sure", { name, items: counted("annotate.items", whole), judged });
    };
    const about = h("p", { class: "ca-faint" }, say("annotate.delete_about"));
    return h("div", { class: "ca-panel" }, h("h3", {}, say("annotate.end")), about, sure(say("annotate.delete_project"), question, say("annotate.delete_it"), gone), said);
  }

  window.citesight.projects = { open, close };
})();
