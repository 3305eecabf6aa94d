// Times as people read them, by the daemon's clock: the reader's own may be wrong.

import { intl } from "./format.js";
import { label } from "./i18n.js";

let aheadMs = 0;

/** Learn the daemon's time from an answer that was made just now. */
export function setClock(generatedAt) {
  aheadMs = Date.parse(generatedAt) - Date.now();
}

/** The daemon's time, in ms since the epoch. */
export const now = () => Date.now() + aheadMs;

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const NARROW = { style: "narrow" };
const WHOLE = { dateStyle: "medium", timeStyle: "medium" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DAY_AND_CLOCK = { month: "short", day: "numeric", ...CLOCK };

/** "3m ago", "in 20s". */
function relative(at) {
  const seconds = Math.round((Date.parse(at) - now()) / 1000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? [];
  if (!unit) return label("now");
  return intl(Intl.RelativeTimeFormat, NARROW).format(Math.trunc(seconds / size), unit);
}

/** Day and time of a moment (RFC 3339, or ms since the epoch). */
export const absoluteTime = (at) => intl(Intl.DateTimeFormat, WHOLE).format(new Date(at));

/** The time of day, with the day where it is not today. */
export function clockTime(at) {
  const moment = new Date(at);
  const today = moment.toDateString() === new Date(now()).toDateString();
  return intl(Intl.DateTimeFormat, today ? CLOCK : DAY_AND_CLOCK).format(moment);
}

/** Show a time in a <time>; null empties it. `future`: a time already past is due, not "ago". */
export function showTime(node, at, future = false) {
  if (node.dateTime !== (at ?? "")) {
    node.dateTime = at ?? "";
    node.toggleAttribute("data-future", future);
    node.toggleAttribute("data-relative", true);
  }
  const title = at ? absoluteTime(at) : "";
  if (node.title !== title) node.title = title;
  tick(node);
}

function tick(node) {
  const at = node.dateTime;
  const due = node.hasAttribute("data-future") && Date.parse(at) <= now();
  const words = !at ? "–" : due ? label("due") : relative(at);
  if (node.textContent !== words) node.textContent = words;
}

/** Bring the relative times under `root` up to date. */
export function tickAll(root) {
  for (const node of root.querySelectorAll("time[data-relative]")) tick(node);
}
