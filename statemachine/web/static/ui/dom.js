// Small pieces of the document that several parts of the page show.

import { stateText } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** A copy of the first element in a <template>. */
export const copyOf = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** An element of a class, with texts and elements in it; null leaves out. */
export function make(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content.filter((part) => part !== null));
  return node;
}

/** An SVG element; `attributes` as they stand in a document. */
export function makeSvg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

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
  const badge = copyOf("badge-template");
  showState(badge, state);
  return badge;
}

/** Draw anew what is in an element; the focus in it stays, and so does what was folded. */
export function redraw(node, parts) {
  const held = node.contains(document.activeElement) ? document.activeElement : null;
  const open = node.querySelector("details")?.open ?? true;
  node.replaceChildren(...parts);
  node.querySelector("details")?.toggleAttribute("open", open);
  if (held) node.querySelector(held.id ? `#${held.id}` : held.localName)?.focus({ preventScroll: true });
}

/** Where a server's drawer is found. */
export const serverHash = (name) => `#server=${encodeURIComponent(name)}`;

/** Offer these groups in a <select>, whose first option stands for all. */
export function offerGroups(select, groups) {
  const offered = [...select.options].slice(1).map((option) => option.value);
  if (offered.join("\n") === groups.join("\n")) return;
  const chosen = select.value;
  const options = groups.map((group) => Object.assign(make("option", "", group), { value: group }));
  select.replaceChildren(select.options[0], ...options);
  select.value = groups.includes(chosen) ? chosen : "";
}

const TOAST_MS = 6000;

/** A short word about what was just done. */
export function toast(words, kind) {
  const note = make("p", `toast ${kind}`, words);
  byId("toasts").append(note);
  setTimeout(() => note.remove(), TOAST_MS);
}
