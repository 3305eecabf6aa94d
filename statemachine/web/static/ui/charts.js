// Small charts, drawn as SVG.

import { clockTime } from "./time.js";
import { makeSvg } from "./dom.js";
import { percent } from "./format.js";
import { label } from "./i18n.js";

const STEP = 10;
const BAR = 8;
const HEIGHT = 40;

/** The hours' shares as bars from 0 to 1; an hour of which nothing is known is a dash at the foot. */
export function trendBars(points, className) {
  const bars = points.map((point, index) => bar(point, index * STEP));
  const box = `0 0 ${points.length * STEP - (STEP - BAR)} ${HEIGHT}`;
  return makeSvg(
    "svg",
    { class: className, viewBox: box, preserveAspectRatio: "none", role: "img", "aria-label": trendWords(points) },
    ...bars,
  );
}

function bar({ at, warm_share: share }, x) {
  const height = share === null ? 1.5 : Math.max(1.5, share * HEIGHT);
  const title = makeSvg("title", {});
  title.textContent = `${clockTime(at)} · ${share === null ? label("not_known") : percent(share)}`;
  const full = makeSvg("rect", { class: "ground", x, y: 0, width: BAR, height: HEIGHT });
  const kind = share === null ? "unknown" : "share";
  const filled = makeSvg("rect", { class: kind, x, y: HEIGHT - height, width: BAR, height });
  return makeSvg("g", {}, title, full, filled);
}

function trendWords(points) {
  const shares = points.map((point) => point.warm_share).filter((share) => share !== null);
  if (shares.length === 0) return `${label("trend")}: ${label("not_known")}`;
  return label("trend_says", { lowest: percent(Math.min(...shares)), newest: percent(shares.at(-1)) });
}
