// How a state looks in a cell of the map: drawn once for each size and colour, then copied. What is well stays quiet;
// what needs a person is a full field. From a size at which icons are legible on, a cell has its state's icon.

import { byId } from "../ui/dom.js";

const TROUBLE = new Set(["failed", "unreachable", "unknown", "cold"]);
const ICON_FROM = 10;
const ICON_GRID = 16;

export class Cells {
  #made = new Map();
  #pitch = 0;
  #ratio = 1;
  #colours = {};

  /** Begin anew for another size or other colours. */
  reset(pitch, ratio) {
    this.#made.clear();
    this.#pitch = pitch;
    this.#ratio = ratio;
    for (const segment of byId("bar").children) {
      this.#colours[segment.dataset.state] = getComputedStyle(segment).backgroundColor;
    }
    this.#colours.panel = getComputedStyle(document.querySelector(".summary")).backgroundColor;
  }

  /** A picture of one cell, in device pixels. */
  of(state, dim) {
    const key = `${state}/${dim}`;
    if (!this.#made.has(key)) this.#made.set(key, this.#draw(state, dim));
    return this.#made.get(key);
  }

  #draw(state, dim) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.round(this.#pitch * this.#ratio);
    const context = canvas.getContext("2d");
    context.scale(this.#ratio, this.#ratio);
    context.globalAlpha = dim ? 0.16 : 1;
    if (this.#pitch >= ICON_FROM) this.#drawIcon(context, state);
    else drawSmall(context, state, this.#pitch - 1, this.#colours[state]);
    return canvas;
  }

  #drawIcon(context, state) {
    const side = this.#pitch - (this.#pitch > 16 ? 3 : 2);
    const full = TROUBLE.has(state);
    context.fillStyle = context.strokeStyle = this.#colours[state];
    context.save();
    if (!full) context.globalAlpha *= 0.2;
    context.beginPath();
    context.roundRect(0, 0, side, side, this.#pitch > 16 ? 4 : 2.5);
    context.fill();
    context.restore();
    if (full) context.strokeStyle = this.#colours.panel;
    const scale = (side * 0.78) / ICON_GRID;
    context.translate((side - ICON_GRID * scale) / 2, (side - ICON_GRID * scale) / 2);
    context.scale(scale, scale);
    context.lineWidth = 2.1;
    context.lineCap = context.lineJoin = "round";
    context.stroke(new Path2D(byId(`shape-${state}`).firstElementChild.getAttribute("d")));
  }
}

/** Too small for an icon: still a shape of its own for each kind of state. */
function drawSmall(context, state, side, colour) {
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = Math.max(1, side / 5);
  context.beginPath();
  SMALL[state](context, side);
}

const dot = (context, side, size) => {
  context.arc(side / 2, side / 2, (side / 2) * size, 0, 2 * Math.PI);
  context.fill();
};
const path = (context, side, ...points) => {
  points.forEach(([x, y], index) => context[index % 2 ? "lineTo" : "moveTo"](x * side, y * side));
  context.stroke();
};
const field = (context, side, ...points) => {
  for (const [x, y] of points) context.lineTo(x * side, y * side);
  context.fill();
};
/** Each like its icon. */
const SMALL = {
  loaded: (context, side) => {
    context.globalAlpha *= 0.45;
    context.fillRect(0, 0, side, side);
  },
  warming: (context, side) => dot(context, side, 1),
  submitting: (context, side) => path(context, side, [0.1, 0.7], [0.5, 0.2], [0.5, 0.2], [0.9, 0.7]),
  auto_executing: (context, side) => field(context, side, [0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]),
  checking: (context, side) => {
    context.arc(side / 2, side / 2, side / 2 - context.lineWidth / 2, 0, 2 * Math.PI);
    context.stroke();
  },
  cold: (context, side) => path(context, side, [0.5, 0], [0.5, 1], [0, 0.5], [1, 0.5]),
  unknown: (context, side) => dot(context, side, 0.6),
  unreachable: (context, side) => path(context, side, [0, 0], [1, 1], [1, 0], [0, 1]),
  failed: (context, side) => field(context, side, [0.5, 0], [1, 1], [0, 1]),
  paused: (context, side) => path(context, side, [0.28, 0.05], [0.28, 0.95], [0.72, 0.05], [0.72, 0.95]),
};
