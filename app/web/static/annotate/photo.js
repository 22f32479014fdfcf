/* Annotation: the photo of an item, which can be made larger and moved about, and a frame round the part that matters. */
(() => {
  "use strict";
  const { announce, say } = window.citesight;
  const { h, button } = window.citesight.draw;
  const LARGEST = 8;
  const STEP = 0.04;
  const LEAST = 0.02; // of the photo's width and height
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  /* The photo at an address, with its buttons. region: of the frame, or null; framed: called with the one that is
     chosen. */
  function photo(address, described, region, framed) {
    const at = { scale: 1, x: 0, y: 0, region, drawing: false, drag: null, moved: false };
    const image = h("img", { src: address, alt: described, draggable: "false" });
    const frame = h("div", { class: "ca-frame", tabindex: 0, role: "group" });
    const layer = h("div", { class: "ca-layer" }, h("div", { class: "ca-whole" }, image, frame));
    const gone = h("p", { class: "ca-faint", hidden: true }, say("annotate.photo_gone"));
    const stage = h("div", { class: "ca-stage" }, layer, gone);
    const part = button(say("annotate.mark_part"), choose, { "aria-pressed": "false" });
    const tools = h(
      "div",
      { class: "ca-tools" },
      button("+", () => zoom(1.5), { "aria-label": say("annotate.larger"), title: `${say("annotate.larger")} (+)` }),
      button("−", () => zoom(1 / 1.5), { "aria-label": say("annotate.smaller"), title: `${say("annotate.smaller")} (-)` }),
      button(say("annotate.whole"), () => zoom(0), { title: `${say("annotate.whole")} (0)` }),
      part,
    );
    image.addEventListener("error", () => (gone.hidden = !(layer.hidden = true)));

    function draw() {
      const [wide, high] = [stage.clientWidth, stage.clientHeight];
      at.x = clamp(at.x, wide * (1 - at.scale), 0);
      at.y = clamp(at.y, high * (1 - at.scale), 0);
      layer.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.scale})`;
      stage.classList.toggle("ca-larger", at.scale > 1);
      stage.classList.toggle("ca-drawing", at.drawing);
      frame.hidden = !at.region;
      if (at.region) {
        const [left, top, right, bottom] = at.region.map((edge) => edge * 100);
        Object.assign(frame.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
        const [west, north, east, south] = [left, top, right, bottom].map(Math.round);
        const where = say("script.frame_at", { left: west, right: east, top: north, bottom: south });
        frame.setAttribute("aria-label", say("annotate.frame_keys", { where }));
      }
      part.textContent = say(at.region ? "annotate.clear_part" : at.drawing ? "annotate.draw_part" : "annotate.mark_part");
      part.setAttribute("aria-pressed", String(at.drawing || Boolean(at.region)));
    }

    function zoom(by, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
      const next = by ? clamp(at.scale * by, 1, LARGEST) : 1;
      at.x = x - ((x - at.x) * next) / at.scale;
      at.y = y - ((y - at.y) * next) / at.scale;
      at.scale = next;
      draw();
    }

    function settle(chosen) {
      at.region = chosen;
      at.drawing = false;
      draw();
      framed(chosen && chosen.map((edge) => Number(edge.toFixed(4))));
    }

    function choose(event) {
      if (at.region || at.drawing) {
        const had = at.region;
        at.drawing = false;
        if (had) settle(null);
        else draw();
      } else if (event.detail === 0) {
        at.region = [0.25, 0.25, 0.75, 0.75]; // from the keyboard there is nothing to draw with
        at.moved = true;
        draw();
        frame.focus();
      } else {
        at.drawing = true;
        draw();
      }
    }

    const place = (event) => {
      const area = image.getBoundingClientRect();
      return [clamp((event.clientX - area.left) / area.width, 0, 1), clamp((event.clientY - area.top) / area.height, 0, 1)];
    };

    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && at.scale === 1 && event.deltaY > 0) return; // nothing to make smaller: the page scrolls
      event.preventDefault();
      const area = stage.getBoundingClientRect();
      zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX - area.left, event.clientY - area.top);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      if (at.drawing) at.drag = { from: place(event) };
      else if (at.scale > 1) at.drag = { x: event.clientX - at.x, y: event.clientY - at.y };
      else return;
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!at.drag) return;
      if (at.drag.from) {
        const [x, y] = place(event);
        const [from, down] = at.drag.from;
        at.region = [Math.min(from, x), Math.min(down, y), Math.max(from, x), Math.max(down, y)];
      } else {
        at.x = event.clientX - at.drag.x;
        at.y = event.clientY - at.drag.y;
      }
      draw();
    });
    const release = () => {
      const { drag } = at;
      at.drag = null;
      if (!drag?.from) return;
      const [left, top, right, bottom] = at.region ?? [0, 0, 0, 0];
      if (right - left >= LEAST && bottom - top >= LEAST) {
        settle(at.region);
      } else {
        at.region = null;
        announce(say("script.frame_small"));
        draw();
      }
    };
    stage.addEventListener("pointerup", release);
    stage.addEventListener("pointercancel", release);
    frame.addEventListener("keydown", (event) => {
      const arrows = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
      const move = arrows[event.key];
      if (event.key === "Enter") kept();
      if (!move) return;
      event.preventDefault();
      event.stopPropagation(); // here they are not for going from one passage to the next
      let [left, top, right, bottom] = at.region;
      if (event.shiftKey) {
        right = clamp(right + move[0], left + LEAST, 1);
        bottom = clamp(bottom + move[1], top + LEAST, 1);
      } else {
        const [across, down] = [clamp(move[0], -left, 1 - right), clamp(move[1], -top, 1 - bottom)];
        [left, top, right, bottom] = [left + across, top + down, right + across, bottom + down];
      }
      at.region = [left, top, right, bottom];
      at.moved = true;
      draw();
      announce(frame.getAttribute("aria-label"));
    });
    // One frame is one thing that was said, however many steps it took.
    const kept = () => {
      if (!at.moved) return;
      at.moved = false;
      if (at.region) settle(at.region);
    };
    frame.addEventListener("blur", kept);
    draw();

    /* Shows a frame that was chosen elsewhere, but not while one is being chosen here. */
    function framedElsewhere(chosen) {
      if (at.drawing || at.drag || at.moved) return;
      at.region = chosen;
      draw();
    }
    return { whole: h("div", { class: "ca-photo" }, stage, tools), zoom, frame: framedElsewhere };
  }

  window.citesight.photo = photo;
})();
