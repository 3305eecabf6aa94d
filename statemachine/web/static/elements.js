// Small pieces of the document that several parts of the page show.

import { stateText } from "./texts.js";

export const byId = (id) => document.getElementById(id);

/** A copy of the first element in a <template>. */
export const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Write a text only where it differs, which spares the browser a layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Colour, shape and words of a state in a badge. */
export function showState(badge, state) {
  badge.dataset.state = state;
  badge.querySelector("use").setAttribute("href", `#shape-${state}`);
  setText(badge.querySelector(".state-text"), stateText(state));
}

/** A badge of its own. */
export function stateBadge(state) {
  const badge = copyOf("row-template").querySelector(".badge");
  showState(badge, state);
  return badge;
}

const TOAST_MS = 5000;

/** A short word about what was just done. */
export function toast(words, kind) {
  const note = document.createElement("p");
  note.className = `toast ${kind}`;
  note.textContent = words;
  byId("toasts").append(note);
  setTimeout(() => note.remove(), TOAST_MS);
}
