// Small SVG charts.

import { makeSvg } from "./dom.js";
import { formatPercent } from "./format.js";
import { label } from "./i18n.js";
import { formatTime } from "./time.js";

const BAR_PITCH = 10;
const BAR_WIDTH = 8;
const HEIGHT = 40;
const MIN_BAR_HEIGHT = 1.5;

/** Draw hourly shares (0 to 1) as bars; an hour without data is a dash at the bottom. */
export function trendBars(points, className) {
  const bars = points.map((point, index) => bar(point, index * BAR_PITCH));
  const viewBox = `0 0 ${points.length * BAR_PITCH - (BAR_PITCH - BAR_WIDTH)} ${HEIGHT}`;
  return makeSvg(
    "svg",
    { class: className, viewBox, preserveAspectRatio: "none", role: "img", "aria-label": description(points) },
    ...bars,
  );
}

function bar({ at, warm_share: share }, x) {
  const height = share === null ? MIN_BAR_HEIGHT : Math.max(MIN_BAR_HEIGHT, share * HEIGHT);
  const title = makeSvg("title", {});
  title.textContent = `${formatTime(at)} · ${share === null ? label("not_known") : formatPercent(share)}`;
  const track = makeSvg("rect", { class: "track", x, y: 0, width: BAR_WIDTH, height: HEIGHT });
  const kind = share === null ? "unknown" : "share";
  const filled = makeSvg("rect", { class: kind, x, y: HEIGHT - height, width: BAR_WIDTH, height });
  return makeSvg("g", {}, title, track, filled);
}

function description(points) {
  const shares = points.map((point) => point.warm_share).filter((share) => share !== null);
  if (shares.length === 0) return `${label("trend")} · ${label("not_known")}`;
  return label("trend_says", { lowest: formatPercent(Math.min(...shares)), newest: formatPercent(shares.at(-1)) });
}
