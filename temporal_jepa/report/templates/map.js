// The map of embeddings: shows what is under the pointer, finds a name, zooms, and can be used by
// keyboard. Names are data: they reach the page as text only, never as HTML.
"use strict";
(() => {
  const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
  const SVG = "http://www.w3.org/2000/svg";
  const REACH = 28; // pixels from a point at which it is hit
  const MOST = 40; // largest zoom
  const STEP = 1.6; // of a zoom
  const DRAG = 5; // pixels from which a press is a drag

  const data = JSON.parse(document.getElementById("map-data").textContent);
  const root = document.getElementById("space");
  const card = root.querySelector(".card");
  const help = document.getElementById("map-help");
  const find = root.querySelector("input");
  const maps = [...root.querySelectorAll("figure svg.points")].map(newMap);
  let chosen = -1;

  function make(tag, attributes, parent) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (parent) parent.append(element);
    return element;
  }

  function say(tag, text, parent) {
    const element = document.createElement(tag);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  // A map: its points in its own units, and its view, x = scale * point + shift.
  function newMap(svg) {
    const view = svg.querySelector("g");
    const classes = [...view.querySelectorAll("path:not(.hole)")];
    const points = classes.flatMap((path) =>
      path.getAttribute("d").match(/-?\d+ -?\d+/g).map((pair) => pair.split(" ").map(Number)));
    const [near, ring, core] = ["near", "ring-out", "ring-in"].map((name) =>
      make("path", { class: name }));
    view.prepend(near, ring, core);
    const size = svg.viewBox.baseVal;
    return { svg, view, points, classes, near, ring, core, size, scale: 1, shift: [0, 0] };
  }

  function show(map) {
    for (const axis of [0, 1]) { // the map never leaves its frame
      const extent = axis ? map.size.height : map.size.width;
      const lowest = extent * (1 - map.scale);
      map.shift[axis] = Math.min(0, Math.max(lowest, map.shift[axis]));
    }
    map.view.setAttribute("transform", `translate(${map.shift}) scale(${map.scale})`);
    map.svg.classList.toggle("zoomed", map.scale > 1);
  }

  // Zoom around a place of the frame, in units of the map.
  function zoom(map, factor, place) {
    const scale = Math.min(MOST, Math.max(1, map.scale * factor));
    const change = scale / map.scale;
    map.shift = map.shift.map((shift, axis) => place[axis] + (shift - place[axis]) * change);
    map.scale = scale;
    show(map);
  }

  function framed(map, i) {
    return map.points[i].map((value, axis) => map.scale * value + map.shift[axis]);
  }

  function zoomAll(factor) {
    for (const map of maps) {
      const middle = [map.size.width / 2, map.size.height / 2];
      zoom(map, factor, chosen < 0 ? middle : framed(map, chosen));
    }
  }

  function placeOf(map, event) {
    const box = map.svg.getBoundingClientRect();
    const unit = map.size.width / box.width;
    return [(event.clientX - box.left) * unit, (event.clientY - box.top) * unit, unit];
  }

  function hit(map, event) {
    const [x, y, unit] = placeOf(map, event);
    let best = -1;
    let nearest = (REACH * unit) ** 2;
    map.points.forEach((_, i) => {
      const [px, py] = framed(map, i);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < nearest) [best, nearest] = [i, distance];
    });
    return best;
  }

  function neighborsOf(i) {
    return data.near.slice(i * data.nearCount, (i + 1) * data.nearCount);
  }

  function factsOf(i) {
    const facts = [];
    if (data.label) facts.push(`label ${data.labels[data.label[i]]}`);
    if (data.group) facts.push(data.group[i] ? `group ${data.group[i]}` : "unlike all others");
    if (data.starts && data.starts[i]) facts.push(`from ${data.starts[i]}`);
    return facts.join(" · ");
  }

  function sketch(i, parent) {
    if (!data.sketch) return;
    const { kind, lines, length, text } = data.sketch;
    const isPath = kind === "path";
    const svg = make("svg", { viewBox: "-3 -3 70 70", "aria-hidden": "true" }, parent);
    if (!isPath) svg.setAttribute("preserveAspectRatio", "none");
    const rows = [];
    for (let line = 0; line < lines; line++) {
      const start = (i * lines + line) * length;
      rows.push([...text.slice(start, start + length)].map((letter) => LETTERS.indexOf(letter)));
    }
    const across = rows[0].map((_, k) => (64 * k) / Math.max(length - 1, 1));
    const curves = isPath ? [rows] : rows.map((row) => [across, row]);
    curves.forEach(([x, y], k) => {
      let path = "";
      let pen = "M";
      y.forEach((height, at) => {
        if (height < 0 || x[at] < 0) pen = "M";
        else {
          path += `${pen}${x[at].toFixed(1)} ${63 - height}`;
          pen = "L";
        }
      });
      make("path", { d: `${path}h0`.replace(/^h0$/, ""), style: `stroke:var(--c${k})` }, svg);
    });
  }

  function describe(i) {
    card.replaceChildren();
    if (i < 0) {
      say("p", help.textContent, card);
      return;
    }
    const main = say("div", "", card);
    sketch(i, main);
    const words = say("p", "", main);
    say("b", data.ids[i], words);
    say("span", factsOf(i), words);
    const others = say("div", "", card);
    say("p", "Most similar:", others);
    const list = say("ul", "", others);
    for (const k of neighborsOf(i)) {
      const item = say("li", "", list);
      sketch(k, item);
      say("b", data.ids[k], item);
      say("span", factsOf(k), item);
    }
  }

  function choose(i) {
    if (i === chosen) return;
    chosen = i;
    for (const map of maps) {
      const dots = (list) => list.map((k) => `M${map.points[k].join(" ")}h0`).join("");
      for (const path of [map.ring, map.core]) path.setAttribute("d", i < 0 ? "" : dots([i]));
      map.near.setAttribute("d", i < 0 ? "" : dots(neighborsOf(i)));
    }
    describe(i);
  }

  // The nearest point in the direction of an arrow key.
  function step(map, dx, dy) {
    if (chosen < 0) return 0;
    const [x, y] = map.points[chosen];
    let best = chosen;
    let least = Infinity;
    map.points.forEach(([px, py], i) => {
      const along = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      const cost = along + 2 * aside;
      if (i !== chosen && along > 0 && aside <= 2 * along && cost < least) [best, least] = [i, cost];
    });
    return best;
  }

  const KEYS = {
    ArrowLeft: (map) => choose(step(map, -1, 0)),
    ArrowRight: (map) => choose(step(map, 1, 0)),
    ArrowUp: (map) => choose(step(map, 0, -1)),
    ArrowDown: (map) => choose(step(map, 0, 1)),
    "+": () => zoomAll(STEP),
    "=": () => zoomAll(STEP),
    "-": () => zoomAll(1 / STEP),
    0: () => zoomAll(0),
    Escape: () => choose(-1),
  };

  function listen(map) {
    const { svg } = map;
    let pressed = null; // where a drag began, and the shift then
    let isPinned = false;
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-describedby", "map-help");
    svg.addEventListener("keydown", (event) => {
      const action = KEYS[event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      isPinned = true;
      action(map);
    });
    svg.addEventListener("pointerdown", (event) => {
      pressed = { at: [event.clientX, event.clientY], shift: map.shift, moved: false };
    });
    svg.addEventListener("pointermove", (event) => {
      if (!pressed) {
        if (event.pointerType !== "mouse" || isPinned) return;
        const i = hit(map, event);
        if (i >= 0) choose(i);
        return;
      }
      const unit = placeOf(map, event)[2];
      const moved = [event.clientX - pressed.at[0], event.clientY - pressed.at[1]];
      if (Math.hypot(...moved) < DRAG && !pressed.moved) return;
      if (!pressed.moved) svg.setPointerCapture(event.pointerId);
      pressed.moved = true;
      map.shift = pressed.shift.map((shift, axis) => shift + unit * moved[axis]);
      show(map);
    });
    svg.addEventListener("pointerup", (event) => {
      if (pressed && !pressed.moved) {
        const i = hit(map, event);
        isPinned = i >= 0;
        choose(i);
      }
      pressed = null;
    });
    svg.addEventListener("pointercancel", () => { pressed = null; });
    svg.addEventListener("pointerleave", () => { if (pressed && !pressed.moved) pressed = null; });
    svg.addEventListener("wheel", (event) => {
      if (document.activeElement !== svg && !event.ctrlKey) return; // the page scrolls
      event.preventDefault();
      zoom(map, event.deltaY < 0 ? 1.2 : 1 / 1.2, placeOf(map, event));
    }, { passive: false });
  }

  function search() {
    const text = find.value.trim().toLowerCase();
    if (!text) return choose(-1);
    const names = data.ids.map((name) => name.toLowerCase());
    const tests = [(name) => name === text, (name) => name.startsWith(text),
      (name) => name.includes(text)];
    const found = tests.map((test) => names.findIndex(test)).find((i) => i >= 0);
    choose(found ?? -1);
    if (found === undefined) card.firstChild.textContent = "No sequence has this name.";
  }

  function dim(button) {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    const keys = [...root.querySelectorAll("button.key")];
    const on = keys.map((key) => key.getAttribute("aria-pressed") === "true");
    for (const map of maps) {
      map.classes.forEach((path, k) => {
        path.classList.toggle("dim", on.includes(true) && !on[k]);
      });
    }
  }

  const actions = { in: () => zoomAll(STEP), out: () => zoomAll(1 / STEP), all: () => zoomAll(0) };
  for (const button of root.querySelectorAll("button[data-zoom]")) {
    button.addEventListener("click", actions[button.dataset.zoom]);
  }
  for (const button of root.querySelectorAll("button.key")) {
    button.addEventListener("click", () => dim(button));
  }
  find.addEventListener("input", search);
  maps.forEach(listen);
  describe(-1);
  root.querySelector(".tools").hidden = false;
  card.hidden = false;
  window.addEventListener("beforeprint", () => {
    for (const element of document.querySelectorAll("details")) element.open = true;
  });
})();
