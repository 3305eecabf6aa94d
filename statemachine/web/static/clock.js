// Times as people read them, by the daemon's clock: the reader's own may be wrong.

import { label, locale } from "./texts.js";

let aheadMs = 0;

/** Learn the daemon's time from an answer that was made just now. */
export function setClock(generatedAt) {
  aheadMs = Date.parse(generatedAt) - Date.now();
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** "3m ago", "in 20s". */
function relative(at) {
  const seconds = Math.round((Date.parse(at) - Date.now() - aheadMs) / 1000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? [];
  if (!unit) return label("now");
  const format = new Intl.RelativeTimeFormat(locale(), { style: "narrow" });
  return format.format(Math.trunc(seconds / size), unit);
}

const absolute = (at) => new Date(at).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "medium" });

/** Show a time in a <time>; null empties it. `future`: a time already past is due, not "ago". */
export function showTime(node, at, future = false) {
  if (node.dateTime !== (at ?? "")) {
    node.dateTime = at ?? "";
    node.toggleAttribute("data-future", future);
  }
  node.title = at ? absolute(at) : "";
  tick(node);
}

function tick(node) {
  const at = node.dateTime;
  const due = node.hasAttribute("data-future") && Date.parse(at) <= Date.now() + aheadMs;
  const words = !at ? "–" : due ? label("due") : relative(at);
  if (node.textContent !== words) node.textContent = words;
}

/** Bring the relative times under `root` up to date. */
export function tickAll(root) {
  for (const node of root.querySelectorAll("time[datetime]")) tick(node);
}

export const clockTime = (at) => new Date(at).toLocaleTimeString(locale(), { hour12: false });
export const absoluteTime = absolute;
