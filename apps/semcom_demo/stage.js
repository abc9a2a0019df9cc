// Images side by side, as a curtain or as a difference, with the sliders that control their transmission.
// Frames computed beforehand follow a slider at once; the exact images come from Python when it is released.

const stages = new WeakMap();
const RETRY_MS = 500; // the server has no image of a page whose script runs until it shows the image again

export default function (component) {
  const { data, parentElement } = component;
  let stage = stages.get(parentElement);
  if (!stage || !parentElement.contains(stage.root)) {
    stage = new Stage(parentElement);
    stages.set(parentElement, stage);
  }
  stage.send = (name, value) => component.setStateValue(name, value);
  stage.trigger = (name) => component.setTriggerValue(name, true);
  stage.update(data);
}

function element(tag, className, parent, properties = {}) {
  const created = Object.assign(document.createElement(tag), properties);
  if (className) created.className = className;
  if (parent) parent.append(created);
  return created;
}

// Load an image again while it fails and is needed.
function retried(image, isNeeded) {
  image.onerror = () => {
    const src = image.getAttribute("src");
    setTimeout(() => image.getAttribute("src") === src && isNeeded() && (image.src = src), RETRY_MS);
  };
  return image;
}

class Stage {
  constructor(parent) {
    this.root = element("div", "semcom-stage", parent);
    this.inputs = element("div", "inputs", this.root); // first, so that the sliders come first with the Tab key
    this.tools = element("div", "tools", this.root);
    this.panels = element("div", "panels", this.root);
    this.status = element("div", "status", this.root);
    this.status.setAttribute("role", "status");
    this.sequence = 0;
    this.view = "side";
    this.pair = 1;
    this.cut = 50;
    this.zoom = { scale: 1, x: 0, y: 0 };
    this.images = new Map(); // loaded frames, so that a swap needs no request
    this.timer = null;
    this.dragging = false;
    this.outage = "gray";
    this.decoded = new Map(); // last image without an outage, by name of the panel
    this.buildTools();
  }

  update(data) {
    if (this.data && data.sequence < this.sequence) return; // the answer to an earlier move
    const text = JSON.stringify(data);
    if (text === this.text) return; // drawn already; a drag may have gone on since
    if (this.dragging) { // only new frames; the rest would move the slider under the pointer
      this.waiting = data;
      this.takeFrames(data);
      return;
    }
    this.text = text;
    this.sequence = data.sequence;
    const first = !this.data || JSON.stringify(this.data.sliders) !== JSON.stringify(data.sliders);
    if (!this.data) this.played = data.play;
    if (this.data && this.data.panels[0].src !== data.panels[0].src) this.decoded.clear(); // another image
    this.data = data;
    this.takeFrames(data);
    this.status.textContent = this.shown = "";
    if (first) this.buildInputs();
    this.setSliders(data.values);
    this.pair = Math.min(this.pair, Math.max(1, data.panels.length - 1));
    this.buildPanels();
    this.updateTools();
    if (data.play && data.play !== this.played) {
      this.played = data.play;
      this.play();
    }
  }

  takeFrames(data) {
    this.frames = new Map((data.frames || []).map((frame) => [frame.snr, frame.panels]));
    const needed = new Set([...this.frames.values()].flat().map((panel) => panel.src));
    for (const src of this.images.keys()) if (!needed.has(src)) this.images.delete(src);
    needed.forEach((src) => this.load(src));
  }

  load(src) {
    if (this.images.has(src)) return;
    const image = retried(new Image(), () => this.images.get(src) === image);
    image.src = src;
    this.images.set(src, image);
  }

  // --- sliders

  buildInputs() {
    this.inputs.replaceChildren();
    this.sliders = {};
    for (const slider of this.data.sliders) {
      const label = element("label", "slider", this.inputs);
      const line = element("span", "line", label);
      element("span", "name", line, { textContent: slider.label });
      const output = element("output", "", line);
      const input = element("input", "", label, { type: "range", ...slider.range, title: slider.help });
      input.setAttribute("aria-label", slider.label);
      this.sliders[slider.name] = { input, output };
      input.oninput = () => this.moved(slider.name);
      input.onchange = () => this.released();
      // A drag that ends where it began gives no event "change".
      input.onpointerup = input.onblur = () => setTimeout(() => this.dragging && this.settle(), 100);
    }
    if (this.sliders.designed) {
      const label = element("label", "together", this.inputs);
      this.together = element("input", "", label, { type: "checkbox" });
      label.append("Move together");
      this.together.onchange = () => {
        if (this.together.checked) this.show("designed", this.number("snr"));
        this.released();
      };
    }
  }

  number(name) {
    return Number(this.sliders[name].input.value);
  }

  show(name, value) {
    const { input, output } = this.sliders[name];
    input.value = value;
    input.style.setProperty("--share", `${(100 * (value - input.min)) / (input.max - input.min)}%`);
    output.textContent = `${value} dB`;
    input.setAttribute("aria-valuetext", `${value} dB`);
  }

  setSliders(values) {
    for (const name of Object.keys(this.sliders)) this.show(name, values[name]);
    if (this.together) this.together.checked = values.together;
  }

  moved(name) {
    this.stop();
    this.dragging = true;
    const value = this.number(name);
    this.show(name, value);
    if (this.together && this.together.checked) this.show(name === "snr" ? "designed" : "snr", value);
    if (name === "snr" || (this.together && this.together.checked)) this.showFrame(value);
  }

  settle() {
    this.dragging = false;
    const data = this.waiting || this.data;
    this.waiting = this.text = null;
    this.update(data);
  }

  released() {
    this.dragging = false;
    this.waiting = null;
    this.sequence += 1;
    this.status.textContent = this.shown ? `Computing ... ${this.shown}` : "Computing ...";
    const together = this.together ? this.together.checked : true;
    const designed = this.sliders.designed ? this.number("designed") : null;
    this.send("inputs", { snr: this.number("snr"), designed: together ? null : designed, sequence: this.sequence });
  }

  // --- frames

  showFrame(value) {
    const nearest = [...this.frames.keys()].sort((a, b) => Math.abs(a - value) - Math.abs(b - value))[0];
    if (nearest === undefined) return;
    const panels = this.frames.get(nearest), fixed = this.data.panels.length - panels.length;
    panels.forEach((panel, index) => this.setPanel(fixed + index, panel, nearest));
    this.shown = nearest === value ? "" : `Images at ${nearest} dB, the nearest computed SNR`;
    this.status.textContent = this.shown;
  }

  play() {
    this.stop();
    const levels = [...this.frames.keys()].sort((a, b) => b - a);
    if (!levels.length) {
      this.status.textContent = "Computing frames ...";
      this.sequence += 1;
      this.trigger("play");
      return;
    }
    let index = 0;
    const step = () => {
      if (index === levels.length) return this.stop(true);
      const level = levels[index++];
      this.show("snr", level);
      if (this.together && this.together.checked) this.show("designed", level);
      this.showFrame(level);
    };
    this.timer = setInterval(step, 1000 * this.data.secondsPerFrame);
    step();
    this.updateTools();
  }

  stop(restore = false) {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    if (restore) {
      this.setSliders(this.data.values);
      this.data.panels.forEach((panel, index) => this.setPanel(index, panel, this.data.values.snr));
    }
    this.updateTools();
  }

  // --- tools: view, zoom, play

  buildTools() {
    const button = (text, label, action, parent = this.tools) => {
      const created = element("button", "", parent, { type: "button", textContent: text, onclick: action });
      if (label) created.setAttribute("aria-label", label);
      return created;
    };
    this.playButton = button("", "", () => (this.timer === null ? this.play() : this.stop(true)));
    this.viewLabel = element("label", "", this.tools, { textContent: "View " });
    this.viewSelect = element("select", "", this.viewLabel);
    for (const [value, text] of [["side", "Side by side"], ["curtain", "Curtain"], ["difference", "Difference, 4 times"]])
      element("option", "", this.viewSelect, { value, textContent: text });
    this.viewSelect.onchange = () => {
      this.view = this.viewSelect.value;
      this.buildPanels();
      this.updateTools();
    };
    this.pairLabel = element("label", "", this.tools, { textContent: "Image " });
    this.pairSelect = element("select", "", this.pairLabel);
    this.pairSelect.onchange = () => {
      this.pair = Number(this.pairSelect.value);
      this.buildPanels();
    };
    const outageLabel = element("label", "", this.tools, { textContent: "Show an outage as " });
    this.outageSelect = element("select", "", outageLabel);
    for (const [value, text] of [["gray", "gray image"], ["concealed", "last decoded image"]])
      element("option", "", this.outageSelect, { value, textContent: text });
    this.outageSelect.onchange = () => {
      this.outage = this.outageSelect.value;
      this.buildPanels();
    };
    this.outageLabel = outageLabel;
    const zoom = element("span", "zoom", this.tools, { textContent: "Zoom " }); // one line, also on a phone
    button("\u2212", "Zoom out", () => this.zoomBy(1 / 1.5), zoom);
    this.zoomText = element("output", "", zoom);
    button("+", "Zoom in", () => this.zoomBy(1.5), zoom);
  }

  updateTools() {
    this.viewLabel.hidden = !this.data.comparable;
    const several = this.data.panels.length > 2 && this.view !== "side";
    this.playButton.hidden = !this.data.playable;
    this.outageLabel.hidden = !this.data.concealable;
    const { high, low } = this.data.playable || {};
    this.playButton.textContent = this.timer === null ? `\u25b6 Play: SNR ${high} to ${low} dB` : "\u25a0 Stop";
    this.pairLabel.hidden = !several;
    this.pairSelect.replaceChildren();
    this.data.panels.slice(1).forEach((panel, index) =>
      element("option", "", this.pairSelect, { value: index + 1, textContent: panel.name }));
    this.pairSelect.value = this.pair;
    this.zoomText.textContent = `${Math.round(100 * this.zoom.scale)} %`;
  }

  zoomBy(factor) {
    this.zoom.scale = Math.min(16, Math.max(1, this.zoom.scale * factor));
    if (this.zoom.scale < 1.01) this.zoom = { scale: 1, x: 0, y: 0 };
    this.pan(0, 0);
    this.updateTools();
  }

  pan(dx, dy) {
    // in shares of the width and height of an image; the image always covers its frame
    const limit = (this.zoom.scale - 1) / 2;
    this.zoom.x = Math.min(limit, Math.max(-limit, this.zoom.x + dx));
    this.zoom.y = Math.min(limit, Math.max(-limit, this.zoom.y + dy));
    const { scale, x, y } = this.zoom;
    for (const image of this.panels.querySelectorAll(".frame img")) {
      image.style.transform = `translate(${100 * x}%, ${100 * y}%) scale(${scale})`;
      image.style.imageRendering = scale > 1 ? "pixelated" : "auto";
    }
    for (const frame of this.panels.querySelectorAll(".frame")) {
      frame.classList.toggle("zoomed", scale > 1);
      if (scale > 1 && this.view !== "curtain") frame.tabIndex = 0;
      else frame.removeAttribute("tabindex");
    }
  }

  // --- panels

  buildPanels() {
    const shown = this.view === "side" ? this.data.panels.map((_, index) => [index]) : [[0, this.pair]];
    const layout = `${this.view} ${shown.join(" ")}`, count = this.data.panels.length;
    if (layout !== this.layout) {
      this.layout = layout;
      this.panels.replaceChildren();
      this.panels.className = `panels ${this.view} ${count === 2 ? "pair" : count > 4 ? "many" : ""}`;
      this.slots = new Map();
      for (const indices of shown) this.buildFigure(indices);
    }
    this.data.panels.forEach((panel, index) => this.setPanel(index, panel, this.data.values.snr));
    this.setCut();
    this.pan(0, 0);
  }

  buildFigure(indices) {
    const figure = element("figure", "", this.panels);
    const frame = element("div", "frame", figure);
    for (const index of indices) {
      const layer = element("div", "layer", frame);
      const image = retried(element("img", "", layer, { draggable: false }), () => image.isConnected);
      this.slots.set(index, { image });
    }
    if (this.view === "curtain") {
      const handle = element("input", "handle", frame, { type: "range", min: 0, max: 100, step: 1, value: this.cut });
      handle.setAttribute("aria-label", "Curtain: share of the original image, percent");
      handle.oninput = () => {
        this.cut = Number(handle.value);
        this.setCut();
      };
      element("div", "bar", frame);
    }
    const caption = element("figcaption", "", figure);
    this.slots.get(indices[indices.length - 1]).caption = caption;
    this.makeDraggable(frame);
  }

  setPanel(index, panel, snr) {
    const slot = this.slots.get(index);
    if (!panel.outage) this.decoded.set(panel.name, { src: panel.src, snr });
    if (!slot) return;
    const concealment = panel.outage && this.outage === "concealed" ? this.decoded.get(panel.name) : undefined;
    const src = concealment ? concealment.src : panel.src;
    if (slot.image.getAttribute("src") !== src) slot.image.src = src;
    slot.image.alt = panel.alt;
    slot.image.dataset.snr = snr;
    if (!slot.caption) return;
    const original = this.data.panels[0].name;
    const prefix = { side: "", curtain: `${original} | `, difference: "Difference to the original. " }[this.view];
    slot.caption.replaceChildren();
    element("strong", "", slot.caption, { textContent: prefix + panel.name });
    if (panel.color) slot.caption.firstChild.style.borderColor = panel.color;
    slot.caption.firstChild.classList.toggle("colored", Boolean(panel.color));
    const note = concealment ? ` Concealed: the image decoded at ${concealment.snr} dB.` : "";
    element("span", "", slot.caption, { textContent: panel.caption + note });
  }

  setCut() {
    if (this.view === "curtain") this.panels.querySelector(".frame").style.setProperty("--cut", `${this.cut}%`);
  }

  makeDraggable(frame) {
    frame.onpointerdown = (event) => {
      if (this.zoom.scale === 1 || event.target.tagName === "INPUT") return;
      frame.setPointerCapture(event.pointerId);
      frame.onpointermove = (move) =>
        this.pan(move.movementX / frame.clientWidth, move.movementY / frame.clientHeight);
    };
    frame.onpointerup = frame.onpointercancel = () => (frame.onpointermove = null);
    frame.onkeydown = (event) => {
      const steps = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
      if (event.target !== frame || !steps[event.key]) return;
      event.preventDefault();
      this.pan(...steps[event.key]);
    };
    frame.onwheel = (event) => {
      if (!event.ctrlKey) return; // the wheel alone scrolls the page
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2);
    };
  }
}
