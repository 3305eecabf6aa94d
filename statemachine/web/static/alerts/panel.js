// The active alerts and what silences them: shown while there is an alert, a pause with terms or an open window.

import { fetchAlerts } from "../state/api.js";
import { serverHash } from "../ui/address.js";
import { byId, make, replaceContent, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { label, messageText, reasonText } from "../ui/i18n.js";
import { formatClock, setRelativeTime } from "../ui/time.js";

const REFRESH_MS = 10000;
const MOST = 20;

export class AlertsPanel {
  #found = { total: 0, alerts: [], windows: [] };
  #views;

  /** `views()` returns the servers' views. */
  constructor(views) {
    this.#views = views;
    setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
  }

  async refresh() {
    this.#found = await fetchAlerts().catch(() => this.#found);
    this.show();
  }

  show() {
    const { total, alerts, windows } = this.#found;
    const open = windows.filter((one) => one.open_until !== null);
    const pauses = [...this.#views()].filter((view) => view.pause?.until || view.pause?.note);
    byId("alerts").hidden = total + open.length + pauses.length === 0;
    setText(byId("alerts-summary"), label("alerts_counted", { count: formatNumber(total) }));
    const items = [...limited(open, windowItem), ...limited(pauses, pauseItem), ...limited(alerts, alertItem, total)];
    replaceContent(byId("alerts-list"), items);
  }
}

/** Return at most `MOST` items, and how many more there are. */
function limited(ones, item, total = ones.length) {
  const shown = ones.slice(0, MOST).map(item);
  const more = total - shown.length;
  return more > 0 ? [...shown, make("li", "more", label("alerts_more", { count: formatNumber(more) }))] : shown;
}

function windowItem({ name, open_until: until, groups }) {
  const text = label("window_open", { name, time: formatClock(until) });
  return make("li", "silence", groups.length > 0 ? `${text} (${groups.join(", ")})` : text);
}

function pauseItem({ name, pause }) {
  const until = pause.until ? label("paused_until", { time: formatClock(pause.until) }) : label("paused_open");
  const said = [until, pause.note, pause.by && label("paused_by", { by: pause.by })].filter(Boolean).join(" · ");
  return make("li", "silence", serverLink(name), " ", said);
}

function alertItem(alert) {
  const since = make("time", "");
  setRelativeTime(since, alert.since);
  const status = alert.silenced_by
    ? label("alert_silenced", { window: alert.silenced_by, time: formatClock(alert.silenced_until) })
    : label(alert.announced ? "alert_sent" : "alert_pending");
  const what = make("span", "message", `${reasonText(alert.reason)}: ${messageText(alert)}`);
  const subject = alert.server === null ? null : serverLink(alert.server);
  return make("li", "alert", subject, " ", what, " ", make("span", "unit", `${alert.rule} · ${status} · `, since));
}

function serverLink(name) {
  return Object.assign(make("a", "", name), { href: serverHash(name) });
}
