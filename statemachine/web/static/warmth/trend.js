// The warm share by the hour.

import { compactBars, trendBars } from "../ui/charts.js";
import { make } from "../ui/dom.js";
import { formatPercent } from "../ui/format.js";
import { label } from "../ui/i18n.js";

/** Draw the hourly points of /api/stats. */
export function warmthTrend(hours, className) {
  const points = hours.map(({ at, warm_share: share }) => ({ at, share }));
  return trendBars(points, className, description(points));
}

/** Show a server's hours, {at, share} each, in its row; null empties it. */
export function showRowTrend(node, points) {
  node.title = points ? description(points) : "";
  const text = make("span", "for-readers", node.title);
  node.replaceChildren(...(points ? [compactBars(points, "history-bars"), text] : []));
}

function description(points) {
  const shares = points.map((point) => point.share).filter((share) => share !== null);
  if (shares.length === 0) return `${label("trend")} · ${label("not_known")}`;
  return label("trend_says", { lowest: formatPercent(Math.min(...shares)), newest: formatPercent(shares.at(-1)) });
}
