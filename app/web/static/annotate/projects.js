/* Annotation: the page of who runs a project: how it goes, how people agree, what goes in and what
   comes out. */
(() => {
  "use strict";
  const { announce, place } = window.citesight;
  const { ask } = window.citesight.server;
  const { h, button, field, form, problem, sure, table, lines, counted, when } = window.citesight.draw;
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
    view.replaceChildren(h("h2", {}, "Projects"), list, making || "");
    const found = await ask("projects");
    if (at.view !== view) return;
    if (making && !found.length) making.open = true;
    list.append(
      ...found.map((project) =>
        h(
          "div",
          { class: "ca-panel" },
          h("h3", {}, project.name),
          h("p", { class: "ca-faint" }, `${counted(project.items, "item")}, ${project.finished.toLocaleString("en")} finished`),
          button("Open", () => place.go({ page: "projects", project: project.name }), { "aria-label": `Open ${project.name}` }),
        ),
      ),
    );
    if (!found.length) list.append(h("p", { class: "ca-faint" }, "There is no project yet."));
  }

  function close() {
    at.view = null;
  }

  async function show(view, owner, { project: name, part }) {
    const parts = { whole: h("div", { class: "ca-list" }), differ: h("div", { class: "ca-list" }), items: h("div", {}) };
    const back = button("All projects", () => place.go({ page: "projects" }));
    if (/^\d+$/.test(part)) {
      const up = button(name, () => place.go({ page: "projects", project: name }));
      view.replaceChildren(h("div", { class: "ca-row" }, back, up));
      await window.citesight.item(view, name, Number(part));
      return;
    }
    const loading = h("p", { class: "ca-faint" }, "Loading …");
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
    const waits = found.waiting > 0 && `; ${counted(found.waiting, "item")} without passages to judge`;
    parts.whole.replaceChildren(
      h(
        "div",
        { class: "ca-panel" },
        h("p", {}, `${found.finished.toLocaleString("en")} of ${counted(found.items, "item")} finished, by ${counted(found.judges, "person", "people")} each`, waits || "", `; ${counted(found.judgments, "judgment")}; ${found.blind ? "blind" : "not blind"}.`),
        h("div", { class: "cs-progress", role: "progressbar", "aria-label": "Items finished", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": share }, h("i", { style: `width:${share}%` })),
        people(found.people),
      ),
      agreement(found.agreement),
      ...gold(found.gold),
      ...removed(found.removed),
    );
  }

  function people(workers) {
    if (!workers.length) return h("p", { class: "ca-faint" }, "Nobody has begun.");
    const heads = ["Person", "Judgments", "Items done", "Put aside", "An hour", "Last"];
    const rows = workers.map((each) => [each.name, each.judged, each.done, each.skipped, each.pace ? Math.round(each.pace) : "", each.last ? when(each.last) : ""].map(String));
    return table(heads, rows, { label: "Progress by person" });
  }

  const figure = (measured) => (measured ? `${measured[0].toFixed(2)} (${measured[1].toFixed(2)} to ${measured[2].toFixed(2)})` : "–");

  function agreement(told) {
    const rows = Object.entries(told).flatMap(([what, found]) => {
      const row = (label, each) => [label, String(each.candidates), figure(each.plain), figure(each.nominal), figure(each.ordinal)];
      if (!found.overall.candidates) return [];
      return [
        row(`${what}s`, found.overall),
        ...Object.entries(found.by_person).map(([person, each]) => row(`… ${person} with others`, each)),
        ...Object.entries(found.by_kind).filter(([kind]) => kind).map(([kind, each]) => row(`… ${kind}`, each)),
      ];
    });
    const heads = ["Agreement on", "Judged by several", "Pairs that agree", "Alpha, nominal", "Alpha, ordinal"];
    const none = h("p", { class: "ca-faint" }, "Nothing has been judged by several people yet.");
    const about = h("p", { class: "ca-faint" }, "Krippendorff's alpha: 1 is full agreement, 0 that of chance; with 95 % intervals.");
    return h("div", { class: "ca-panel" }, h("h3", {}, "Agreement"), ...(rows.length ? [table(heads, rows, { label: "Agreement" }), about] : [none]));
  }

  function gold(told) {
    if (!told.candidates && !told.waiting) return [];
    const rows = told.people.map((each) => [each.name, String(each.judged), String(each.right), figure(each.share)]);
    const waits = told.waiting ? `; ${counted(told.waiting, "more")} wait for their passage to be found` : "";
    const about = h("p", { class: "ca-faint" }, `${counted(told.candidates, "passage or answer", "passages or answers")} with a grade that is known${waits}.`);
    return [h("div", { class: "ca-panel" }, h("h3", {}, "Checked by gold"), about, rows.length ? table(["Person", "Judged", "Right", "Share"], rows, { label: "Gold" }) : "")];
  }

  function removed(gone) {
    if (!gone.length) return [];
    const rows = gone.map((each) => [each.key, each.question, each.person, when(each.at)]);
    return [h("details", { class: "ca-panel" }, h("summary", {}, `Removed: ${counted(gone.length, "item")}`), table(["Id", "Question", "By", "When"], rows, { label: "Removed items" }))];
  }

  /* Items */

  /* open: as long as there are none. */
  function filling(name, again, open) {
    const [asked, question] = field("Question", { maxlength: 2000, required: true });
    const [shown, photo] = field("Photo (or none)", { type: "file", accept: window.citesight.photos });
    const [known, references] = field("Reference answers, one a line (or none)", { rows: 2 }, "textarea");
    const said = h("div", {});
    const came = h("div", {}); // of a file
    const one = async () => {
      const [path = ""] = photo.files[0] ? await uploaded([photo.files[0]]) : [];
      const right = references.value.split("\n").map((line) => line.trim()).filter(Boolean);
      const { added, kept } = await ask("add", { project: name, question: question.value, photo: path, references: right });
      const words = added ? "The item was added." : kept ? "This item was there already, and keeps the reference answers that it has; to change them, remove it and add it anew." : "This item was there already.";
      said.replaceChildren(h("p", {}, words));
      announce(words);
      question.value = references.value = photo.value = "";
      await again();
      question.focus();
    };
    const [list, file] = field("A JSONL or CSV file: question, and perhaps id, photo, kind, references; in JSONL gold too", { type: "file", accept: ".jsonl,.json,.txt,.csv,.tsv", required: true });
    const [pictures, photos] = field("The photographs that it names", { type: "file", accept: window.citesight.photos, multiple: true });
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
      h("summary", {}, "Add items"),
      form([asked, shown, known], "Add this item", one),
      said,
      form([list, pictures], "Add the items of the file", many),
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
      throw new Error("The program cannot be reached, or a file changed or is gone; try again.");
    }
    const names = files.length > 1 ? `${files[0].name} to ${files.at(-1).name}` : files[0].name;
    if (!response.ok) throw new Error(`Could not be stored: ${names}. ${(await response.text()).slice(0, 200)}`);
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
      far(`${done.toLocaleString("en")} of ${counted(photos.length, "photograph")} uploaded …`);
      const paths = await uploaded(pack);
      pack.forEach((each, place) => (stored[each.name] = paths[place]));
      done += pack.length;
    }
    far("Uploading the list …");
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
      if (after !== null) far(`${counted(after, "line")} read, ${counted(sum.added, "new item")} …`);
    }
    taken(sum, said);
  }

  function taken({ added, unchanged, skipped, notes, more }, said) {
    const lost = skipped.length + more;
    const whole = `${counted(added, "new item")}, ${unchanged.toLocaleString("en")} there already${lost ? `; ${counted(lost, "line")} could not be taken` : ""}.`;
    announce(whole);
    const told = ([where, why]) => h("li", { dir: "auto" }, `${where}: ${why}`);
    const wrong = skipped.map(told);
    said.replaceChildren(
      h("p", {}, whole),
      notes.length ? h("ul", { class: "ca-faint" }, notes.slice(0, WRONG).map(told), notes.length > WRONG && h("li", {}, `and ${(notes.length - WRONG).toLocaleString("en")} more`)) : "",
      lost ? h("ul", { class: "ca-wrong" }, wrong, more > 0 && h("li", {}, `and ${more.toLocaleString("en")} more`)) : "",
    );
  }

  async function items(name, parts, owner) {
    const heads = ["Item", "Question", "Photo", "To judge", "Done by", "Held by"];
    const shown = table(heads, [], { label: "Items" });
    const list = shown.querySelector("tbody");
    const more = h("div", {});
    const asked = (each) => (owner ? h("a", { href: place.address({ page: "projects", project: name, part: each.position }), dir: "auto" }, each.question) : h("span", { dir: "auto" }, each.question));
    let after = 0;
    const page = async () => {
      const found = await ask("items", { project: name, after });
      after = found.at(-1)?.position;
      list.append(...lines(heads, found.map((each) => [String(each.position), asked(each), each.photo ? "yes" : "no", String(each.candidates), String(each.done), String(each.held)])));
      more.replaceChildren(...(found.length === 50 ? [button("More items", page)] : []));
    };
    await page();
    parts.items.replaceChildren(...(list.firstChild ? [h("div", { class: "ca-panel" }, h("h3", {}, "Items"), shown, more)] : []));
  }

  function guiding(name, now) {
    const [whole, text] = field("Markdown, shown beside the work", { rows: 10, maxlength: 100000, value: now }, "textarea");
    const said = h("p", { class: "ca-settled", "aria-live": "polite" });
    const change = async () => {
      await ask("guidelines", { project: name, guidelines: text.value });
      said.textContent = "Changed; people see them with their next item.";
    };
    return h("details", { class: "ca-panel" }, h("summary", {}, "Guidelines"), form([whole], "Change the guidelines", change, { class: "ca-form ca-wide" }), said);
  }

  function leaving(name, found) {
    const labels = { zip: "everything (zip)", jsonl: "jsonl, without photographs" };
    const link = (format) => h("a", { class: "ca-button", href: `annotation/export/${encodeURIComponent(name)}/${format}`, download: "" }, labels[format] ?? format);
    return h("div", { class: "ca-panel" }, h("h3", {}, "What comes out"), h("div", { class: "ca-row" }, found.formats.map(link)));
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
      announce(`“${name}” was deleted.`);
      place.go({ page: "projects" }, "replaceState");
    };
    const question = async () => {
      const { items: number, judgments, people: workers } = await ask("overview", { project: name });
      const judged = judgments ? `${counted(judgments, "judgment")} of ${counted(workers.filter((each) => each.judged).length, "person", "people")}` : "no judgment";
      return `Delete “${name}” for good, with ${counted(number, "item")} and ${judged}?`;
    };
    const about = h("p", { class: "ca-faint" }, "Items, photographs that nothing else uses, and all that was judged go with it; what was downloaded before stays.");
    return h("div", { class: "ca-panel" }, h("h3", {}, "The end of the project"), about, sure("Delete the project", question, "Delete it", gone), said);
  }

  window.citesight.projects = { open, close };
})();
