// The warm share by the hour.

import { trendBars } from "../ui/charts.js";
import { formatPercent } from "../ui/format.js";
import { label } from "../ui/i18n.js";

/** Draw the hourly points of /api/stats. */
export function warmthTrend(hours, className) {
  const points = hours.map(({ at, warm_share: share }) => ({ at, share }));
  return trendBars(points, className, description(points));
}

function description(points) {
  const shares = points.map((point) => point.share).filter((share) => share !== null);
  if (shares.length === 0) return `${label("trend")} · ${label("not_known")}`;
  return label("trend_says", { lowest: formatPercent(Math.min(...shares)), newest: formatPercent(shares.at(-1)) });
}
