// Points in time in the reader's language, relative to the daemon's clock: the reader's own may be wrong.

import { formatter, TIME_UNITS } from "./format.js";
import { label } from "./i18n.js";

const NARROW = { style: "narrow" };
const DATE_AND_TIME = { dateStyle: "medium", timeStyle: "medium" };
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY_AND_CLOCK = { month: "short", day: "numeric", ...CLOCK };
const DAY_AND_TIME = { month: "short", day: "numeric", ...TIME };

let offsetMs = 0;

/** Set the daemon's clock from the `generated_at` of a response that has just arrived. */
export function syncClock(generatedAt) {
  offsetMs = Date.parse(generatedAt) - Date.now();
}

/** Return the daemon's time in ms since the epoch. */
export const daemonNow = () => Date.now() + offsetMs;

/** Format how far away a time is: "3m ago", "in 20s". */
function formatRelative(at) {
  const seconds = Math.round((Date.parse(at) - daemonNow()) / 1000);
  const [unit, length] = TIME_UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
  if (!unit) return label("now");
  return formatter(Intl.RelativeTimeFormat, NARROW).format(Math.trunc(seconds / length), unit);
}

/** Format date and time. `at`: RFC 3339, or ms since the epoch. */
export const formatDateTime = (at) => formatter(Intl.DateTimeFormat, DATE_AND_TIME).format(new Date(at));

/** Format the time of day, with the date unless it is today. */
export const formatTime = (at) => timeText(at, TIME, DAY_AND_TIME);

/** Format the time of day without seconds, with the date unless it is today. */
export const formatClock = (at) => timeText(at, CLOCK, DAY_AND_CLOCK);

function timeText(at, today, otherDay) {
  const moment = new Date(at);
  const isToday = moment.toDateString() === new Date(daemonNow()).toDateString();
  return formatter(Intl.DateTimeFormat, isToday ? today : otherDay).format(moment);
}

/** Show a relative time in a <time> element; null empties it. `future`: a time that has passed is "due". */
export function setRelativeTime(node, at, future = false) {
  if (node.dateTime !== (at ?? "")) {
    node.dateTime = at ?? "";
    node.toggleAttribute("data-future", future);
  }
  node.toggleAttribute("data-relative", true);
  const title = at ? formatDateTime(at) : "";
  if (node.title !== title) node.title = title;
  update(node);
}

function update(node) {
  const at = node.dateTime;
  const due = node.hasAttribute("data-future") && Date.parse(at) <= daemonNow();
  const text = !at ? "–" : due ? label("due") : formatRelative(at);
  if (node.textContent !== text) node.textContent = text;
}

/** Update all relative times below `root`. */
export function updateRelativeTimes(root) {
  for (const node of root.querySelectorAll("time[data-relative]")) update(node);
}
