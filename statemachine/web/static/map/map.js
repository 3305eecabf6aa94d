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
const LABEL_SIZES = [12, 10];

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
    const maxHeight = width < NARROW_BELOW ? HEIGHT.narrow : HEIGHT.wide;
    this.#layout = computeLayout([...this.#fleet.groups.values()], width, maxHeight);
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
      block.names.forEach((name, index) => this.#positions.set(name, positionOf(block, this.#layout.pitch, index)));
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
    context.fillStyle = style.color;
    for (const { name, x, y, width } of this.#layout.blocks) {
      const size = LABEL_SIZES.find((px) => fits(name, `${px}px ${style.fontFamily}`, width));
      context.fillText(size ? name : shortened(name, width), x, y - LABEL_RISE);
    }
  }

  #viewAt({ offsetX, offsetY }) {
    const cell = this.#layout && cellAt(this.#layout, offsetX, offsetY);
    return cell ? this.#fleet.views.get(cell.block.names[cell.index]) : null;
  }

  #hover(event) {
    const view = this.#viewAt(event);
    canvas.classList.toggle("on-cell", view !== null);
    if (view) this.#tooltip.show(view, event.offsetX, event.offsetY);
    else this.#tooltip.hide();
  }
}

/** Set the font, and return whether the text fits. */
function fits(text, font, width) {
  context.font = font;
  return context.measureText(text).width <= width;
}

/** Cut a text in its middle: the names of groups differ mostly in their ends. */
function shortened(text, width) {
  for (let cut = 1; cut < text.length; cut += 1) {
    const start = Math.floor((text.length - cut) / 2);
    const short = `${text.slice(0, start)}…${text.slice(start + cut)}`;
    if (context.measureText(short).width <= width) return short;
  }
  return "";
}
