/* An answer is kept under a link when a person says so, with the photo or without. What deletes the link stays in this
   browser, which shows it, and lists the links that were made in it. */
(() => {
  "use strict";
  const { one, say, announce, settled } = window.citesight;
  const { h, button } = window.citesight.draw;
  const MINE = "citesight-links"; // [{key, deletion, until, question}], the newest first
  const MOST = 200;
  const offered = one("meta[name=cs-links]")?.content ?? ""; // "" where nothing is kept; "brief" on a disk that may go

  function mine() {
    try {
      const kept = JSON.parse(localStorage.getItem(MINE) ?? "[]");
      const now = new Date().toISOString().slice(0, 10);
      return Array.isArray(kept) ? kept.filter((each) => /^[0-9a-f]{32}$/.test(each?.key) && each.until >= now) : [];
    } catch {
      return [];
    }
  }

  function remember(links) {
    try {
      localStorage.setItem(MINE, JSON.stringify(links.slice(0, MOST)));
    } catch {
      // The browser keeps nothing; what deletes the link is shown.
    }
  }

  const address = (key) => new URL(`kept/${key}`, document.baseURI).href;

  async function send(path, told) {
    const how = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(told) };
    const reply = await fetch(new URL(path, document.baseURI), how).catch(() => null);
    const said = await reply?.json().catch(() => null);
    if (!reply?.ok) throw Object.assign(new Error(said?.problem ?? say("script.lost")), { gone: reply?.status === 400 });
    return said;
  }

  const note = (...inside) => h("p", { class: "cs-note" }, inside);
  const failed = (box, problem) => box.append(h("p", { class: "cs-error", role: "alert" }, problem.message));

  // A link that was made: where it leads, until when, and what deletes it.
  function shown(link, box) {
    const field = h("input", { readonly: "", value: address(link.key), "aria-label": say("script.link"), dir: "ltr" });
    const copy = button(say("script.copy"), async () => {
      field.select();
      await navigator.clipboard?.writeText(field.value).catch(() => {});
      announce(say("script.copied"));
      copy.textContent = say("script.copied");
    }, { class: "cs-send" });
    const gone = deletes(link, () => box.replaceChildren(note(say("script.link_gone"))));
    return [
      h("div", { class: "cs-link" }, [field, copy, gone]),
      note(say("script.link_lasts", { until: link.until }), " ", say("script.link_deletion"), " ", h("code", { dir: "ltr" }, link.deletion)),
    ];
  }

  function deletes(link, then) {
    const press = button(say("script.delete"), async () => {
      press.disabled = true;
      try {
        await send(`kept/${link.key}/delete`, { deletion: link.deletion });
      } catch (problem) {
        press.disabled = false;
        if (!press.nextElementSibling?.matches("[role=alert]")) press.after(h("span", { role: "alert" }, problem.message));
        if (!problem.gone) return;
      }
      remember(mine().filter(({ key }) => key !== link.key));
      announce(say("script.link_gone"));
      then();
    }, { class: "cs-send" });
    return press;
  }

  // Those that were made in this browser before.
  function earlier() {
    const links = mine();
    if (!links.length) return [];
    const rows = links.map((link) => {
      const leads = h("a", { href: address(link.key), target: "_blank", rel: "noopener", dir: "auto" }, link.question || link.key);
      const row = h("li", {}, [leads, " ", deletes(link, () => row.remove())]);
      return row;
    });
    return [h("details", { class: "cs-links" }, [h("summary", {}, say("script.links_mine")), h("ul", {}, rows)])];
  }

  function open(foot) {
    const before = one(".cs-keeping");
    before?.remove();
    if (before) return;
    const photo = h("input", { type: "checkbox" });
    const label = h("label", {}, [photo, " ", say("script.link_photo")]);
    const withPhoto = one("#cs-photo img, .cs-photo") !== null;
    const box = h("div", { class: "cs-keeping" });
    const make = button(say("script.link_make"), async () => {
      make.disabled = true;
      box.querySelector(".cs-error")?.remove();
      try {
        const made = await send("kept/", { answer: foot.querySelector("[data-answer]").dataset.answer, photo: photo.checked });
        const link = { ...made, question: (one(".cs-asked")?.textContent ?? "").slice(0, 200) };
        remember([link, ...mine()]);
        box.replaceChildren(...shown(link, box));
        announce(say("script.link_made"));
        box.querySelector("input").focus();
      } catch (problem) {
        make.disabled = false;
        failed(box, problem);
      }
    }, { class: "cs-send" });
    const brief = offered === "brief" ? [" ", say("script.link_brief")] : [];
    box.append(note(say("script.link_about"), ...brief), ...(withPhoto ? [label] : []), make, ...earlier());
    foot.after(box);
    make.focus();
  }

  // The button below the answer that is whole: made here, as only who is shown the answer keeps it.
  settled(() => {
    const foot = one(".cs-panel:not([aria-busy]) .cs-foot");
    const send = foot?.querySelector(".cs-send[data-answer]");
    if (!offered || !send || foot.querySelector(".cs-keep")) return;
    foot.insertBefore(button(say("script.keep"), () => open(foot), { class: "cs-send cs-keep" }), send);
  });
})();
