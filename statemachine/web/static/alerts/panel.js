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
    const items = [...limited(open, windowItem), ...limited(pauses, pauseItem, pauseText), ...limited(alerts, alertItem, alertKey, total)];
    replaceContent(byId("alerts-list"), items);
  }
}

/** Return items for at most `MOST` of these, one for those of the same `keyOf`, and how many more there are. */
function limited(ones, item, keyOf = ({ name }) => name, total = ones.length) {
  const alike = new Map();
  for (const one of ones.slice(0, MOST)) alike.set(keyOf(one), [...(alike.get(keyOf(one)) ?? []), one]);
  const shown = [...alike.values()].map(item);
  const more = total - Math.min(ones.length, MOST);
  return more > 0 ? [...shown, make("li", "more", label("alerts_more", { count: formatNumber(more) }))] : shown;
}

function windowItem([{ name, open_until: until, groups }]) {
  const text = label("window_open", { name, time: formatClock(until) });
  return make("li", "silence", groups.length > 0 ? `${text} (${groups.join(", ")})` : text);
}

function pauseText({ pause }) {
  const until = pause.until ? label("paused_until", { time: formatClock(pause.until) }) : label("paused_open");
  return [until, pause.note, pause.by && label("paused_by", { by: pause.by })].filter(Boolean).join(" · ");
}

function pauseItem(views) {
  return make("li", "silence", pauseText(views[0]), ...serverLinks(views.map(({ name }) => name)));
}

function alertKey({ rule, state, reason, announced, silenced_by: by, silenced_until: until, ...alert }) {
  return JSON.stringify([rule, state, reason, announced, by, until, messageText(alert)]);
}

/** Return one item for alerts of the same cause, of which the first is the oldest. */
function alertItem(alerts) {
  const [alert] = alerts;
  const since = make("time", "");
  setRelativeTime(since, alert.since);
  const status = alert.silenced_by
    ? label("alert_silenced", { window: alert.silenced_by, time: formatClock(alert.silenced_until) })
    : label(alert.announced ? "alert_sent" : "alert_pending");
  const what = make("span", "message", `${reasonText(alert.reason)}: ${messageText(alert)}`);
  const names = alerts.map(({ server }) => server).filter((name) => name !== null);
  const unit = make("span", "unit", `${alert.rule} · ${status} · `, since);
  return make("li", "alert", what, " ", unit, ...serverLinks(names));
}

function serverLinks(names) {
  return names.flatMap((name) => [" ", Object.assign(make("a", "", name), { href: serverHash(name) })]);
}
