// The whole fleet at a glance: one small cell a server. It is a picture beside the table, which has the same for the
// keyboard and for those who hear the page.

import { byId, serverHash } from "../ui/dom.js";
import { cellAt, hit, layOut } from "./layout.js";
import { Cells } from "./cells.js";
import { MapTip } from "./tooltip.js";
import { label, stateText } from "../ui/i18n.js";

const frame = byId("map-frame");
const canvas = byId("map");
const context = canvas.getContext("2d");
const HEIGHT = { wide: 236, narrow: 280 };
const LABEL_RISE = 7;

export class FleetMap {
  #fleet;
  #matches;
  #cells = new Cells();
  #places = new Map();
  #layout = null;
  #ratio = 1;
  #tip = new MapTip(frame);

  constructor(fleet, matches) {
    this.#fleet = fleet;
    this.#matches = matches;
    new ResizeObserver(() => this.layOut()).observe(frame);
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => this.#tip.hide());
    canvas.addEventListener("click", (event) => {
      const view = this.#viewAt(event);
      if (view) location.hash = serverHash(view.name);
    });
  }

  /** The fleet, the width or the colours have changed: place everything anew. */
  layOut() {
    const width = frame.clientWidth;
    if (width === 0 || this.#fleet.views.size === 0) return;
    const groups = [...this.#fleet.groups.values()].map(({ name, names }) => ({ name, count: names.length }));
    this.#layout = layOut(groups, width, width < 600 ? HEIGHT.narrow : HEIGHT.wide);
    this.#ratio = window.devicePixelRatio;
    this.#cells.reset(this.#layout.pitch, this.#ratio);
    canvas.width = width * this.#ratio;
    canvas.height = this.#layout.height * this.#ratio;
    canvas.style.height = `${this.#layout.height}px`;
    canvas.dataset.cells = this.#fleet.views.size;
    canvas.dataset.pitch = this.#layout.pitch;
    this.#place();
    this.draw();
  }

  /** Draw every cell: the filters have changed. */
  draw() {
    if (!this.#layout) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const name of this.#places.keys()) this.#drawCell(name);
    this.#drawNames();
  }

  /** One server's line has changed. */
  update(name) {
    if (!this.#places.has(name)) return;
    const [x, y] = this.#places.get(name);
    context.setTransform(1, 0, 0, 1, 0, 0);
    const side = Math.round(this.#layout.pitch * this.#ratio);
    context.clearRect(Math.round(x * this.#ratio), Math.round(y * this.#ratio), side, side);
    this.#drawCell(name);
  }

  /** What the picture says, in words. */
  describe() {
    const parts = Object.entries(this.#fleet.counts).filter(([, count]) => count > 0);
    const states = parts.map(([state, count]) => `${stateText(state)} ${count}`).join(", ");
    const words = label("map_says", { states });
    if (canvas.ariaLabel !== words) canvas.ariaLabel = words;
  }

  #place() {
    this.#places.clear();
    for (const block of this.#layout.blocks) {
      const names = this.#fleet.groups.get(block.name).names;
      names.forEach((name, index) => this.#places.set(name, cellAt(block, this.#layout.pitch, index)));
    }
  }

  #drawCell(name) {
    const view = this.#fleet.views.get(name);
    const [x, y] = this.#places.get(name);
    const picture = this.#cells.of(view.state, !this.#matches(view));
    context.drawImage(picture, Math.round(x * this.#ratio), Math.round(y * this.#ratio));
  }

  #drawNames() {
    const style = getComputedStyle(canvas);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.font = `12px ${style.fontFamily}`;
    context.fillStyle = style.color;
    for (const { name, x, y, width } of this.#layout.blocks) context.fillText(shortened(name, width), x, y - LABEL_RISE);
  }

  #viewAt({ offsetX, offsetY }) {
    const found = this.#layout && hit(this.#layout, offsetX, offsetY);
    return found ? this.#fleet.views.get(this.#fleet.groups.get(found.block.name).names[found.index]) : null;
  }

  #point(event) {
    const view = this.#viewAt(event);
    canvas.classList.toggle("on-cell", view !== null);
    if (view) this.#tip.show(view, event.offsetX, event.offsetY);
    else this.#tip.hide();
  }
}

function shortened(text, width) {
  let short = text;
  while (short.length > 1 && context.measureText(short).width > width) short = `${short.slice(0, -2)}…`;
  return short;
}
