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
  const viewBox = `0 0 ${points.length * BAR_PITCH - (BAR_PITCH - BAR_WIDTH)} ${HEIGHT}`;
  return makeSvg(
    "svg",
    { class: className, viewBox, preserveAspectRatio: "none", role: "img", "aria-label": text },
    ...bars,
  );
}

function bar({ at, share, note }, x) {
  const height = share === null ? MIN_BAR_HEIGHT : Math.max(MIN_BAR_HEIGHT, share * HEIGHT);
  const title = makeSvg("title", {});
  const parts = [formatTime(at), share === null ? label("not_known") : formatPercent(share), note];
  title.textContent = parts.filter(Boolean).join(" · ");
  const track = makeSvg("rect", { class: "track", x, y: 0, width: BAR_WIDTH, height: HEIGHT });
  const kind = share === null ? "unknown" : "share";
  const filled = makeSvg("rect", { class: kind, x, y: HEIGHT - height, width: BAR_WIDTH, height });
  return makeSvg("g", {}, title, track, filled);
}
