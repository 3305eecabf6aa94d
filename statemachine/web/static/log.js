// The event log: newest first, bounded.

import { absoluteTime, clockTime } from "./clock.js";
import { byId, copyOf, setText, stateBadge } from "./elements.js";
import { label, reasonText } from "./texts.js";

const LIMIT = 200;
const list = byId("log");
let entries = [];

let waiting = [];

/** Keep an entry for the next `showLog`. The stream brings each once, also across a reconnect. */
export function addEntry(entry) {
  waiting.push(entry);
  if (waiting.length > LIMIT) waiting.shift();
}

/** Show what was added. */
export function showLog() {
  if (waiting.length === 0) return;
  entries = [...waiting.reverse(), ...entries].slice(0, LIMIT);
  list.prepend(...waiting.map(entryNode));
  waiting = [];
  while (list.children.length > LIMIT) list.lastElementChild.remove();
  byId("log-empty").hidden = true;
}

/** Show everything again, in the language that is now spoken. */
export function relabelLog() {
  list.replaceChildren(...entries.map(entryNode));
}

function entryNode(entry) {
  const node = copyOf("entry-template");
  const time = node.querySelector("time");
  time.setAttribute("datetime", entry.at);
  time.title = absoluteTime(entry.at);
  setText(time, clockTime(entry.at));
  setText(node.querySelector(".entry-server"), entry.server ?? label("notice"));
  if (entry.to) node.querySelector(".change").append(...change(entry));
  setText(node.querySelector(".reason"), reasonText(entry.reason));
  setText(node.querySelector(".message"), entry.message);
  return node;
}

function change(entry) {
  const arrow = Object.assign(document.createElement("span"), { className: "arrow", textContent: "→" });
  return entry.from ? [stateBadge(entry.from), arrow, stateBadge(entry.to)] : [stateBadge(entry.to)];
}
