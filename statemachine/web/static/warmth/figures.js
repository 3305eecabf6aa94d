// The warmth of a server, a group or the fleet: a trend, a table of figures, and why warm-ups failed.

import { trendBars } from "../ui/charts.js";
import { make } from "../ui/dom.js";
import { duration, number, percent } from "../ui/format.js";
import { label, reasonText } from "../ui/i18n.js";

const WINDOWS = ["1h", "24h", "7d"];
const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
const ROWS = [
  ["warm_share", (figures) => percent(figures.warm_share)],
  ["time_to_warm_p50", (figures) => duration(figures.time_to_warm_s.p50)],
  ["time_to_warm_p99", (figures) => duration(figures.time_to_warm_s.p99)],
  ["evictions", (figures) => number(figures.evictions)],
  ["attempts", (figures) => number(figures.attempts)],
  ["failed_attempts", (figures) => number(total(figures.failed_attempts))],
];

/** `windows`: {"1h": …, "24h": …, "7d": …}; `trend`: its 24 hours. */
export function warmthFigures(windows, trend) {
  return [
    make("p", "caption", label("trend")),
    trendBars(trend ?? [], "trend"),
    figuresTable(windows),
    ...failures(windows["7d"].failed_attempts),
  ];
}

function figuresTable(windows) {
  const corner = make("td", "");
  const head = make("tr", "", corner, ...WINDOWS.map((name) => header("col", label(`window_${name}`))));
  const rows = ROWS.map(([key, say]) =>
    make("tr", key, header("row", label(key)), ...WINDOWS.map((name) => make("td", "", say(windows[name])))),
  );
  return make("table", "figures-table", make("thead", "", head), make("tbody", "", ...rows));
}

function header(scope, words) {
  return Object.assign(make("th", "", words), { scope });
}

let failuresShown = true; // as the reader last left it: the figures are drawn anew at each poll

function failures(counts) {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return [];
  const most = entries[0][1];
  const items = entries.map(([reason, count]) => {
    const bar = make("span", "failure-bar");
    bar.style.width = `${(count / most) * 100}%`;
    bar.setAttribute("aria-hidden", "true");
    return make("li", "", make("span", "failure-name", reasonText(reason)), make("b", "", number(count)), bar);
  });
  const summary = make("summary", "caption", label("failed_by_reason"));
  const details = Object.assign(make("details", "", summary, make("ul", "failures", ...items)), { open: failuresShown });
  details.addEventListener("toggle", () => (failuresShown = details.open));
  return [details];
}
