// Helpers for building and updating elements.

import { stateText } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** Clone the first element of a <template>. */
export const cloneTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Create an element with a class, texts and child elements; null children are skipped. */
export function make(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content.filter((part) => part !== null));
  return node;
}

/** Create an SVG element with attributes and children. */
export function makeSvg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Set an element's text if it differs, to avoid needless layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Widths of a name, in letters, from which it is shown smaller or in more lines. Wide characters count twice. */
const LONGER = [18, 26, 38, 60];
const WIDE = /[\u2e80-\uffff]/gu;

/** Show the name of a server or group, which is never cut: the style sheets fit it in by its `data-length`, 1 to 5. */
export function setName(node, name) {
  setText(node, name);
  const letters = name.length + (name.match(WIDE)?.length ?? 0);
  node.dataset.length = LONGER.filter((width) => letters > width).length + 1;
}

/** Set the colour, icon and text of a state badge. */
export function setBadge(badge, state) {
  badge.dataset.state = state;
  badge.querySelector("use").setAttribute("href", `#shape-${state}`);
  setText(badge.querySelector(".state-text"), stateText(state));
}

/** Create a badge that shows a state. */
export function stateBadge(state) {
  const badge = cloneTemplate("badge-template");
  setBadge(badge, state);
  return badge;
}

/** Replace an element's children; keep the focus and whether its <details> is open. */
export function replaceContent(node, children) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  const like = focused && (focused.id ? `#${focused.id}` : focused.localName);
  const place = focused && [...node.querySelectorAll(like)].indexOf(focused);
  const open = node.querySelector("details")?.open ?? true;
  node.replaceChildren(...children);
  node.querySelector("details")?.toggleAttribute("open", open);
  if (focused) [...node.querySelectorAll(like)].at(place)?.focus({ preventScroll: true });
}

/** Select a value of a <select> whose options are not known yet. */
export function preselect(select, value) {
  select.append(Object.assign(make("option", "", value), { value }));
  select.value = value;
}

/** Set the groups of a <select> whose first option means "all"; keep the selection if it still exists. */
export function setGroupOptions(select, groups) {
  const current = [...select.options].slice(1).map((option) => option.value);
  if (current.join("\n") === groups.join("\n")) return;
  const selected = select.value;
  const options = groups.map((group) => Object.assign(make("option", "", group), { value: group }));
  select.replaceChildren(select.options[0], ...options);
  select.value = groups.includes(selected) ? selected : "";
}
