/* Choosing a part of the photo: a frame over whichever picture of it is shown, drawn, moved and resized with mouse,
   finger or keys. What is chosen is written into the hidden field that goes with the question: "left,top,right,bottom"
   as fractions of the photo, or nothing for all of it. */
(() => {
  "use strict";
  const { all, one, say, announce, settled } = window.citesight;
  // drag: what a pointer does now: "draw" from a place, "move", or resize by a corner ("ne", ...), the frame as it was.
  const part = { box: null, choosing: false, drag: null };
  const LEAST = 0.03; // of the photo's width and height
  const LEAST_PIXELS = 16; // of the photo, as the program takes it; see app/service/region.py
  const STEP = 0.02;
  const CORNERS = ["nw", "ne", "se", "sw"];
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function picture() {
    const shown = [one(".cs-photo"), one("#cs-photo img")];
    return shown.find((image) => image && image.offsetParent !== null && image.naturalWidth > 0) ?? null;
  }

  // Where the picture itself is inside its element, which may be wider or higher than it.
  function drawn(image) {
    const { clientWidth: across, clientHeight: down, naturalWidth, naturalHeight } = image;
    const fit = getComputedStyle(image).objectFit;
    let [width, height] = [across, down];
    if (fit !== "fill") {
      let scale = fit === "none" ? 1 : Math.min(across / naturalWidth, down / naturalHeight);
      if (fit === "scale-down") scale = Math.min(scale, 1);
      if (fit === "cover") scale = Math.max(across / naturalWidth, down / naturalHeight);
      [width, height] = [naturalWidth * scale, naturalHeight * scale];
    }
    return {
      left: image.offsetLeft + image.clientLeft + (across - width) / 2,
      top: image.offsetTop + image.clientTop + (down - height) / 2,
      width,
      height,
    };
  }

  // The least width and height of a frame. A large photo is shown smaller than it is, so this is never too little.
  function least() {
    const image = picture();
    const of = (size) => Math.min(1, Math.max(LEAST, LEAST_PIXELS / (size || 1)));
    return [of(image?.naturalWidth), of(image?.naturalHeight)];
  }

  function write() {
    const field = one("#cs-region textarea, #cs-region input");
    const value = part.box ? part.box.map((edge) => edge.toFixed(4)).join(",") : "";
    if (!field || field.value === value) return;
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function said([left, top, right, bottom]) {
    const percent = Object.entries({ left, top, right, bottom }).map(([edge, at]) => [edge, Math.round(at * 100)]);
    return say("script.frame_at", Object.fromEntries(percent));
  }

  function pane(image) {
    const made = document.createElement("div");
    made.className = "cs-frame";
    made.innerHTML = '<div class="cs-shade"><div></div></div>'; // what lies around the frame, darkened
    const hole = document.createElement("div");
    hole.className = "cs-hole";
    hole.tabIndex = 0;
    hole.setAttribute("role", "application"); // else a screen reader keeps the arrow keys to itself
    hole.setAttribute("aria-roledescription", say("script.frame"));
    CORNERS.forEach((corner) => {
      const handle = document.createElement("span");
      handle.className = "cs-handle";
      handle.dataset.corner = corner;
      hole.append(handle);
    });
    made.append(hole);
    image.parentElement.append(made);
    return made;
  }

  function frame() {
    const image = picture();
    const shown = image !== null && (part.box !== null || part.choosing);
    all(".cs-frame").forEach((each) => {
      if (!shown || each.parentElement !== image.parentElement) each.remove();
    });
    all(".cs-select").forEach((button) => {
      const chosen = part.box !== null && !part.choosing;
      const name = say(chosen ? "script.whole" : part.choosing ? "script.draw" : "script.select");
      if (button.textContent !== name) button.textContent = name;
      button.setAttribute("aria-pressed", String(part.choosing || chosen));
    });
    if (!shown) return;
    const over = image.parentElement.querySelector(".cs-frame") ?? pane(image);
    const at = drawn(image);
    Object.assign(over.style, {
      left: `${at.left}px`, top: `${at.top}px`, width: `${at.width}px`, height: `${at.height}px`,
    });
    over.classList.toggle("cs-choosing-part", part.choosing);
    const [shade, hole] = [over.querySelector(".cs-shade > div"), over.querySelector(".cs-hole")];
    shade.hidden = hole.hidden = part.box === null;
    if (part.box) {
      const [left, top, right, bottom] = part.box;
      const [width, height] = [right - left, bottom - top];
      const where = [left, top, width, height].map((each) => `${each * 100}%`);
      [shade, hole].forEach((each) => {
        [each.style.left, each.style.top, each.style.width, each.style.height] = where;
      });
      const label = say("script.frame_keys", { where: said(part.box) });
      if (hole.getAttribute("aria-label") !== label) hole.setAttribute("aria-label", label);
    }
  }

  function choose(box, choosing) {
    part.box = box;
    part.choosing = choosing;
    write();
    frame();
  }

  function clear() {
    const focused = document.activeElement?.closest(".cs-hole") !== null;
    choose(null, false);
    if (focused) all(".cs-select").find((button) => button.offsetParent !== null)?.focus();
  }

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest(".cs-select")) return;
    if (part.box || part.choosing) {
      clear();
    } else {
      // From the keyboard there is nothing to draw with: begin with a frame that the arrow keys move.
      choose(event.detail === 0 ? [0.25, 0.25, 0.75, 0.75] : null, event.detail !== 0);
      if (event.detail === 0) one(".cs-hole")?.focus();
    }
  });

  function place(event) {
    const area = one(".cs-frame").getBoundingClientRect();
    return [clamp((event.clientX - area.left) / area.width, 0, 1), clamp((event.clientY - area.top) / area.height, 0, 1)];
  }

  function moved([left, top, right, bottom], x, y) {
    const across = clamp(x, -left, 1 - right);
    const down = clamp(y, -top, 1 - bottom);
    return [left + across, top + down, right + across, bottom + down];
  }

  // The edges of a corner go by x and y, as far as the photo goes and the frame stays large enough.
  function resized([left, top, right, bottom], corner, x, y) {
    const [width, height] = least();
    if (corner.includes("w")) left = clamp(left + x, 0, Math.max(0, right - width));
    if (corner.includes("e")) right = clamp(right + x, Math.min(1, left + width), 1);
    if (corner.includes("n")) top = clamp(top + y, 0, Math.max(0, bottom - height));
    if (corner.includes("s")) bottom = clamp(bottom + y, Math.min(1, top + height), 1);
    return [left, top, right, bottom];
  }

  document.addEventListener("pointerdown", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target?.closest(".cs-frame") || !event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    const hole = target.closest(".cs-hole");
    if (hole && !part.choosing) {
      part.drag = { how: target.dataset.corner ?? "move", from: place(event), box: part.box };
      hole.focus({ preventScroll: true });
    } else if (part.choosing) {
      part.drag = { how: "draw", from: place(event), box: null };
    }
  });
  document.addEventListener("pointermove", (event) => {
    if (!part.drag || !event.isPrimary || !one(".cs-frame")) return;
    const { how, from, box } = part.drag;
    const [x, y] = place(event);
    const [over, down] = [x - from[0], y - from[1]];
    if (how === "draw") part.box = [Math.min(from[0], x), Math.min(from[1], y), Math.max(from[0], x), Math.max(from[1], y)];
    else if (how === "move") part.box = moved(box, over, down);
    else part.box = resized(box, how, over, down);
    frame();
  });
  document.addEventListener("pointerup", () => {
    if (!part.drag) return;
    const { how } = part.drag;
    part.drag = null;
    if (!part.box) return; // a mere click draws nothing: go on choosing
    const [width, height] = least();
    const enough = part.box[2] - part.box[0] >= width - 1e-6 && part.box[3] - part.box[1] >= height - 1e-6;
    choose(enough ? part.box : null, !enough);
    if (!enough) announce(say("script.frame_small"));
    else announce(how === "draw" ? say("script.frame_chosen") : say("script.frame_now", { where: said(part.box) }));
  });
  document.addEventListener("pointercancel", () => {
    if (!part.drag) return;
    const { how, box } = part.drag;
    part.drag = null;
    choose(box, how === "draw");
  });
  document.addEventListener("keydown", (event) => {
    const hole = document.activeElement?.closest(".cs-hole");
    if (event.key === "Escape" && (part.choosing || hole)) {
      event.preventDefault(); // it is used up: nothing else is ended by it
      clear();
      return;
    }
    const arrows = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const move = arrows[event.key];
    if (!move || !part.box || !hole) return;
    event.preventDefault();
    choose(event.shiftKey ? resized(part.box, "se", ...move) : moved(part.box, ...move), false);
    announce(said(part.box));
  });
  addEventListener("resize", frame);
  document.addEventListener("load", (event) => event.target instanceof HTMLImageElement && frame(), true);

  settled(() => {
    const field = one("#cs-region textarea, #cs-region input");
    if (field) {
      field.tabIndex = -1; // nobody sees it
      one("#cs-region").setAttribute("aria-hidden", "true");
    }
    if (field && !field.value && part.box && !part.drag) part.box = null; // another photo, or a new conversation
    frame();
  });
})();
