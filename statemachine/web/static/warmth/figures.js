// The warmth of a server, a group or the fleet: a trend, a table of figures, and the reasons of failed warm-ups.

import { make } from "../ui/dom.js";
import { formatDuration, formatNumber, formatPercent } from "../ui/format.js";
import { label, reasonText } from "../ui/i18n.js";
import { warmthTrend } from "./trend.js";

const WINDOWS = ["1h", "24h", "7d"];
const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);
const ROWS = [
  ["warm_share", (figures) => formatPercent(figures.warm_share)],
  ["time_to_warm_p50", (figures) => formatDuration(figures.time_to_warm_s.p50)],
  ["time_to_warm_p99", (figures) => formatDuration(figures.time_to_warm_s.p99)],
  ["evictions", (figures) => formatNumber(figures.evictions)],
  ["attempts", (figures) => formatNumber(figures.attempts)],
  ["failed_attempts", (figures) => formatNumber(sum(figures.failed_attempts))],
];

/** `windows`: {"1h": …, "24h": …, "7d": …}. `trend`: hourly points of 24 hours. */
export function warmthFigures(windows, trend) {
  return [
    make("p", "caption", label("trend")),
    warmthTrend(trend ?? [], "trend"),
    figuresTable(windows),
    ...failures(windows["7d"].failed_attempts),
  ];
}

function figuresTable(windows) {
  const head = make("tr", "", make("td", ""), ...WINDOWS.map((name) => header("col", label(`window_${name}`))));
  const rows = ROWS.map(([key, format]) =>
    make("tr", key, header("row", label(key)), ...WINDOWS.map((name) => make("td", "", format(windows[name])))),
  );
  return make("table", "figures-table", make("thead", "", head), make("tbody", "", ...rows));
}

const header = (scope, text) => Object.assign(make("th", "", text), { scope });

let failuresOpen = true; // kept across refreshes, which replace the element

function failures(counts) {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return [];
  const items = entries.map(([reason, count]) => failureItem(reason, count, count / entries[0][1]));
  const summary = make("summary", "caption", label("failed_by_reason"));
  const details = Object.assign(make("details", "", summary, make("ul", "failures", ...items)), { open: failuresOpen });
  details.addEventListener("toggle", () => (failuresOpen = details.open));
  return [details];
}

function failureItem(reason, count, share) {
  const bar = make("span", "failure-bar");
  bar.style.width = `${share * 100}%`;
  bar.setAttribute("aria-hidden", "true");
  return make("li", "", make("span", "failure-name", reasonText(reason)), make("b", "", formatNumber(count)), bar);
}
