/* A photo is given by a drop anywhere on the page, or by pasting: Gradio's box takes one only while it is empty, and
   removes its photo when another is dropped on it. What is dropped or pasted goes to the field of that box. */
(() => {
  "use strict";
  const { one, asking, say, complain, settled, photos } = window.citesight;
  const state = { given: null, own: false }; // what is to be handed on; whether what is dragged is the page's

  function hand() {
    const input = one("#cs-photo input[type=file]");
    if (input && input.accept !== photos) input.accept = photos;
    // Later, when the page has changed, or the server has looked at the one before, which would come back in its place.
    if (!state.given || window.beginning() || !input) return;
    const files = new DataTransfer();
    files.items.add(state.given);
    state.given = null;
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // Gradio refuses what the system does not know as a picture, as hardly one knows HEIC.
  function known(file) {
    const ending = /\.[a-z]+$/.exec(file.name.toLowerCase())?.[0] ?? "";
    const ours = file.type === "" && photos.split(",").includes(ending);
    return ours ? new File([file], file.name, { type: `image/${ending.slice(1)}` }) : file;
  }

  function chosen(event) {
    const input = event.target;
    if (input !== one("#cs-photo input[type=file]") || !Array.from(input.files).some((file) => file.type === "")) return;
    const files = new DataTransfer();
    Array.from(input.files).forEach((file) => files.items.add(known(file)));
    input.files = files.files;
  }

  function give(file) {
    complain("");
    state.given = file;
    hand();
  }

  const isPicture = (file) => file.type === "" || file.type.startsWith("image/"); // "": unknown here; it is looked at
  const editable = (target) => target instanceof Element && target.closest("input, textarea, [contenteditable]");

  function dropped(transfer) {
    const items = Array.from(transfer.items).filter((item) => item.kind === "file");
    const files = items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile());
    const file = files.find((each) => each && isPicture(each));
    if (file) give(file);
    else if (items.length) complain(say("script.not_a_photo"));
    else complain(say("script.no_addresses"));
  }

  /* Before Gradio: these are handled here, also what would make the browser leave the page for the file. Text that is
     dragged is nobody's concern, and on the other page files belong into their box. */
  function dragged(event) {
    const types = event.dataTransfer?.types ?? [];
    const foreign = types.includes("Files") || (types.includes("text/uri-list") && !editable(event.target));
    const own = state.own && !editable(event.target);
    if (!foreign && !own) return;
    const field = event.target instanceof Element && event.target.closest("#cc-files");
    if (!asking() && field && !state.own) return;
    event.preventDefault();
    event.stopPropagation();
    const taken = !state.own && asking();
    event.dataTransfer.dropEffect = taken ? "copy" : "none";
    const left = event.type === "drop" || (event.type === "dragleave" && event.relatedTarget === null);
    document.body.classList.toggle("cs-dropping", taken && !left);
    if (event.type === "drop" && taken) dropped(event.dataTransfer);
  }

  ["dragenter", "dragover", "dragleave", "drop"].forEach((type) => addEventListener(type, dragged, true));
  addEventListener("dragstart", () => (state.own = true), true);
  // No mouse moves while something is dragged. A drag whose beginning has left the page has no end.
  ["dragend", "mousemove"].forEach((type) => addEventListener(type, () => (state.own = false), true));

  addEventListener("change", chosen, true); // before Gradio
  addEventListener(
    "paste",
    (event) => {
      const picture = Array.from(event.clipboardData?.files ?? []).find((file) => file.type.startsWith("image/"));
      const text = editable(event.target) && event.clipboardData?.getData("text/plain").trim();
      if (!picture || text || !asking()) return;
      event.preventDefault();
      event.stopPropagation();
      give(picture);
    },
    true,
  );

  settled(hand);
})();
