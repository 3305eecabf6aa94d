// The images of the map's cells, drawn once per state. States that need attention are filled, others are pale. Large
// cells show the state's icon, small ones a simple shape.

import { byId } from "../ui/dom.js";

const FILLED = new Set(["failed", "unreachable", "unknown", "cold"]);
const ICON_MIN_PITCH = 10;
const ICON_GRID = 16;

export class CellImages {
  #images = new Map();
  #pitch = 0;
  #ratio = 1;
  #colours = {};

  /** Drop the images, and read the colours of the current theme. `pitch`: side of a cell in CSS px. */
  reset(pitch, ratio) {
    this.#images.clear();
    this.#pitch = pitch;
    this.#ratio = ratio;
    for (const segment of byId("bar").children) {
      this.#colours[segment.dataset.state] = getComputedStyle(segment).backgroundColor;
    }
    this.#colours.panel = getComputedStyle(document.querySelector(".summary")).backgroundColor;
  }

  /** Return a cell's image in device pixels. `dim`: the filters exclude the server. */
  get(state, dim) {
    const key = `${state}/${dim}`;
    if (!this.#images.has(key)) this.#images.set(key, this.#draw(state, dim));
    return this.#images.get(key);
  }

  #draw(state, dim) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.round(this.#pitch * this.#ratio);
    const context = canvas.getContext("2d");
    context.scale(this.#ratio, this.#ratio);
    context.globalAlpha = dim ? 0.16 : 1;
    if (this.#pitch >= ICON_MIN_PITCH) this.#drawIcon(context, state);
    else drawShape(context, state, this.#pitch - 1, this.#colours[state]);
    return canvas;
  }

  #drawIcon(context, state) {
    const side = this.#pitch - (this.#pitch > 16 ? 3 : 2);
    const filled = FILLED.has(state);
    context.fillStyle = context.strokeStyle = this.#colours[state];
    context.save();
    if (!filled) context.globalAlpha *= 0.2;
    context.beginPath();
    context.roundRect(0, 0, side, side, this.#pitch > 16 ? 4 : 2.5);
    context.fill();
    context.restore();
    if (filled) context.strokeStyle = this.#colours.panel;
    const scale = (side * 0.78) / ICON_GRID;
    context.translate((side - ICON_GRID * scale) / 2, (side - ICON_GRID * scale) / 2);
    context.scale(scale, scale);
    context.lineWidth = 2.1;
    context.lineCap = context.lineJoin = "round";
    context.stroke(new Path2D(byId(`shape-${state}`).firstElementChild.getAttribute("d")));
  }
}

/** Draw a cell that is too small for an icon: each state still has its own shape. */
function drawShape(context, state, side, colour) {
  context.fillStyle = context.strokeStyle = colour;
  context.lineWidth = Math.max(1, side / 5);
  context.beginPath();
  SHAPES[state](context, side);
}

const dot = (context, side, size) => {
  context.arc(side / 2, side / 2, (side / 2) * size, 0, 2 * Math.PI);
  context.fill();
};
const lines = (context, side, ...points) => {
  points.forEach(([x, y], index) => context[index % 2 ? "lineTo" : "moveTo"](x * side, y * side));
  context.stroke();
};
const polygon = (context, side, ...points) => {
  for (const [x, y] of points) context.lineTo(x * side, y * side);
  context.fill();
};
/** Each resembles the state's icon. */
const SHAPES = {
  loaded: (context, side) => {
    context.globalAlpha *= 0.45;
    context.fillRect(0, 0, side, side);
  },
  warming: (context, side) => dot(context, side, 1),
  submitting: (context, side) => lines(context, side, [0.1, 0.7], [0.5, 0.2], [0.5, 0.2], [0.9, 0.7]),
  auto_executing: (context, side) => polygon(context, side, [0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]),
  checking: (context, side) => {
    context.arc(side / 2, side / 2, side / 2 - context.lineWidth / 2, 0, 2 * Math.PI);
    context.stroke();
  },
  cold: (context, side) => lines(context, side, [0.5, 0], [0.5, 1], [0, 0.5], [1, 0.5]),
  unknown: (context, side) => dot(context, side, 0.6),
  unreachable: (context, side) => lines(context, side, [0, 0], [1, 1], [1, 0], [0, 1]),
  failed: (context, side) => polygon(context, side, [0.5, 0], [1, 1], [0, 1]),
  draining: (context, side) => polygon(context, side, [0, 0], [1, 0], [0.5, 1]),
  restarting: (context, side) => {
    context.arc(side / 2, side / 2, side / 2 - context.lineWidth / 2, 0, 1.5 * Math.PI);
    context.stroke();
  },
  paused: (context, side) => lines(context, side, [0.28, 0.05], [0.28, 0.95], [0.72, 0.05], [0.72, 0.95]),
};
