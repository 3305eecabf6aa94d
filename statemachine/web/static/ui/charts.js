// Small SVG charts.

import { makeSvg } from "./dom.js";
import { formatPercent } from "./format.js";
import { label } from "./i18n.js";
import { formatTime } from "./time.js";

const BAR_PITCH = 10;
const BAR_WIDTH = 8;
const HEIGHT = 40;
const MIN_BAR_HEIGHT = 1.5;

/**
 * Draw hourly shares (0 to 1) as bars; an hour without data is a dash at the bottom.
 * `points`: {at, share, note}; the note is added to the hour's title. `text`: what the chart shows, in words.
 */
export function trendBars(points, className, text) {
  const bars = points.map((point, index) => bar(point, index * BAR_PITCH));
  return makeSvg(
    "svg",
    { class: className, viewBox: viewBoxOf(points), preserveAspectRatio: "none", role: "img", "aria-label": text },
    ...bars,
  );
}

/** Draw the same in three elements, for a list of many charts. It has no text: the list gives one beside it. */
export function compactBars(points, className) {
  const parts = { track: [], share: [], unknown: [] };
  points.forEach(({ share }, index) => {
    if (share === null) parts.unknown.push(boxPath(index, MIN_BAR_HEIGHT * 2));
    else parts.track.push(boxPath(index, HEIGHT));
    if (share !== null) parts.share.push(boxPath(index, barHeight(share)));
  });
  const paths = Object.entries(parts).map(([kind, boxes]) => makeSvg("path", { class: kind, d: boxes.join("") }));
  const viewBox = viewBoxOf(points);
  return makeSvg("svg", { class: className, viewBox, preserveAspectRatio: "none", "aria-hidden": true }, ...paths);
}

const boxPath = (index, height) => `M${index * BAR_PITCH} ${HEIGHT - height}h${BAR_WIDTH}v${height}h-${BAR_WIDTH}z`;
const barHeight = (share) => Math.max(MIN_BAR_HEIGHT, share * HEIGHT);
const viewBoxOf = (points) => `0 0 ${points.length * BAR_PITCH - (BAR_PITCH - BAR_WIDTH)} ${HEIGHT}`;

function bar({ at, share, note }, x) {
  const height = share === null ? MIN_BAR_HEIGHT : barHeight(share);
  const title = makeSvg("title", {});
  const parts = [formatTime(at), share === null ? label("not_known") : formatPercent(share), note];
  title.textContent = parts.filter(Boolean).join(" · ");
  const track = makeSvg("rect", { class: "track", x, y: 0, width: BAR_WIDTH, height: HEIGHT });
  const kind = share === null ? "unknown" : "share";
  const filled = makeSvg("rect", { class: kind, x, y: HEIGHT - height, width: BAR_WIDTH, height });
  return makeSvg("g", {}, title, track, filled);
}
