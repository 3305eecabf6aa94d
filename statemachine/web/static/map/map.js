// The map of the fleet: one cell per server. It is a picture; keyboards and screen readers use the table instead.

import { serverHash } from "../ui/address.js";
import { byId } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { joinList, label, stateText } from "../ui/i18n.js";
import { CellImages } from "./cells.js";
import { cellAt, computeLayout, positionOf } from "./layout.js";
import { Tooltip } from "./tooltip.js";

const frame = byId("map-frame");
const canvas = byId("map");
const context = canvas.getContext("2d");
const HEIGHT = { wide: 236, narrow: 280 };
const NARROW_BELOW = 600;
const LABEL_RISE = 7;

export class FleetMap {
  #fleet;
  #matches;
  #images = new CellImages();
  #positions = new Map();
  #layout = null;
  #ratio = 1;
  #tooltip = new Tooltip(frame);

  /** `matches(view)`: whether the table's filters let a server through; other cells are dimmed. */
  constructor(fleet, matches) {
    this.#fleet = fleet;
    this.#matches = matches;
    new ResizeObserver(() => this.updateLayout()).observe(frame);
    canvas.addEventListener("pointermove", (event) => this.#hover(event));
    canvas.addEventListener("pointerleave", () => this.#tooltip.hide());
    canvas.addEventListener("click", (event) => {
      const view = this.#viewAt(event);
      if (view) location.hash = serverHash(view.name);
    });
  }

  /** Compute all positions and draw, after the fleet, the width or the colours have changed. */
  updateLayout() {
    const width = frame.clientWidth;
    if (width === 0 || this.#fleet.views.size === 0) return;
    const groups = [...this.#fleet.groups.values()].map(({ name, names }) => ({ name, count: names.length }));
    this.#layout = computeLayout(groups, width, width < NARROW_BELOW ? HEIGHT.narrow : HEIGHT.wide);
    this.#ratio = window.devicePixelRatio;
    this.#images.reset(this.#layout.pitch, this.#ratio);
    canvas.width = width * this.#ratio;
    canvas.height = this.#layout.height * this.#ratio;
    canvas.style.height = `${this.#layout.height}px`;
    canvas.dataset.cells = this.#fleet.views.size;
    canvas.dataset.pitch = this.#layout.pitch;
    this.#placeCells();
    this.draw();
  }

  /** Draw all cells, after the filters have changed. */
  draw() {
    if (!this.#layout) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const name of this.#positions.keys()) this.#drawCell(name);
    this.#drawLabels();
  }

  /** Draw a server's cell again. */
  update(name) {
    if (!this.#positions.has(name)) return;
    const [x, y] = this.#positions.get(name);
    context.setTransform(1, 0, 0, 1, 0, 0);
    const side = Math.round(this.#layout.pitch * this.#ratio);
    context.clearRect(Math.round(x * this.#ratio), Math.round(y * this.#ratio), side, side);
    this.#drawCell(name);
  }

  /** Update the text alternative of the picture. */
  describe() {
    const counts = Object.entries(this.#fleet.counts).filter(([, count]) => count > 0);
    const states = joinList(counts.map(([state, count]) => `${stateText(state)} ${formatNumber(count)}`));
    const text = label("map_says", { states });
    if (canvas.ariaLabel !== text) canvas.ariaLabel = text;
  }

  /** Render the texts again after a switch of language. */
  relabel() {
    this.#tooltip.hide();
    this.describe();
  }

  #placeCells() {
    this.#positions.clear();
    for (const block of this.#layout.blocks) {
      const names = this.#fleet.groups.get(block.name).names;
      names.forEach((name, index) => this.#positions.set(name, positionOf(block, this.#layout.pitch, index)));
    }
  }

  #drawCell(name) {
    const view = this.#fleet.views.get(name);
    const [x, y] = this.#positions.get(name);
    const image = this.#images.get(view.state, !this.#matches(view));
    context.drawImage(image, Math.round(x * this.#ratio), Math.round(y * this.#ratio));
  }

  #drawLabels() {
    const style = getComputedStyle(canvas);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.font = `12px ${style.fontFamily}`;
    context.fillStyle = style.color;
    for (const { name, x, y, width } of this.#layout.blocks) {
      context.fillText(shortened(name, width), x, y - LABEL_RISE);
    }
  }

  #viewAt({ offsetX, offsetY }) {
    const cell = this.#layout && cellAt(this.#layout, offsetX, offsetY);
    return cell ? this.#fleet.views.get(this.#fleet.groups.get(cell.block.name).names[cell.index]) : null;
  }

  #hover(event) {
    const view = this.#viewAt(event);
    canvas.classList.toggle("on-cell", view !== null);
    if (view) this.#tooltip.show(view, event.offsetX, event.offsetY);
    else this.#tooltip.hide();
  }
}

function shortened(text, width) {
  let short = text;
  while (short.length > 1 && context.measureText(short).width > width) short = `${short.slice(0, -2)}…`;
  return short;
}
