// The cold share by the hour, and how often each reason decided.

import { trendBars } from "../ui/charts.js";
import { make } from "../ui/dom.js";
import { formatNumber, formatPercent } from "../ui/format.js";
import { label, whyText } from "../ui/i18n.js";

/** `hours`: the trend of /api/decisions. */
export function coldTrend(hours) {
  const points = hours.map(({ at, cold_share: share, cold, known }) => {
    const counts = { cold: formatNumber(cold), known: formatNumber(known) };
    return { at, share, note: share === null ? "" : label("cold_of_known", counts) };
  });
  return [make("p", "caption", label("cold_trend")), trendBars(points, "trend cold-trend", description(points))];
}

function description(points) {
  const shares = points.map((point) => point.share).filter((share) => share !== null);
  if (shares.length === 0) return `${label("cold_trend")} · ${label("not_known")}`;
  const [highest, newest] = [Math.max(...shares), shares.at(-1)].map(formatPercent);
  return label("cold_trend_says", { highest, newest });
}

/** How many requests there were, and how many of them were cold. */
export function requestsSummary({ requests, cold_share: share }) {
  const counted = label("requests_counted", { count: formatNumber(requests) });
  return share === null ? counted : `${counted} · ${label("requests_cold", { share: formatPercent(share) })}`;
}

/** `reasons`: reason → count. */
export function reasonBars(reasons) {
  const entries = sorted(reasons);
  const items = entries.map(([reason, count]) => item(reason, count, count / entries[0][1]));
  return [make("p", "caption", label("requests_why")), make("ul", "failures why-bars", ...items)];
}

/** The reasons of a server in one line, the most frequent first. */
export const reasonsLine = (reasons) =>
  sorted(reasons).map(([reason, count]) => `${formatNumber(count)} ${label(`why_${reason}`)}`).join(" · ");

const sorted = (reasons) => Object.entries(reasons).sort(([, a], [, b]) => b - a);

function item(reason, count, share) {
  const bar = make("span", "failure-bar");
  bar.style.width = `${share * 100}%`;
  bar.setAttribute("aria-hidden", "true");
  return make("li", "", make("span", "failure-name", whyText(reason)), make("b", "", formatNumber(count)), bar);
}
