// The sections of the drawer. A section is rendered again only when its data or the language has changed.

import { reasonBars, requestsSummary } from "../requests/figures.js";
import { newestDecisions } from "../requests/newest.js";
import { byId, make, replaceContent } from "../ui/dom.js";
import { locale } from "../ui/i18n.js";
import { daemonNow } from "../ui/time.js";
import { warmthFigures } from "../warmth/figures.js";
import { attemptItems, checkFacts, counterFacts, nowFacts, serverFacts } from "./facts.js";
import { restartFacts } from "./restart.js";
import { timeline, transitionItem } from "./timeline.js";

const SHOWN_DECISIONS = 5;

const shown = new Map();

/** `server`: a ServerDetail. `view`: its current view, or null. */
export function showParts(server, view) {
  fill("now", [view, server.origin], () => (view ? nowFacts(view, server.origin).filter(Boolean) : []));
  showRestart(view?.restart);
  const { detail, entries } = server;
  const minute = Math.floor(daemonNow() / 60000);
  fill("timeline", [detail !== null, entries, minute], () => (detail ? timeline(entries, daemonNow()) : []));
  fill("transitions", entries, () => [make("ol", "transitions", ...entries.map(transitionItem))]);
  showWarmth(server);
  showRequests(server);
  const { attempts = [], server: info = null, link, check, counters } = detail ?? {};
  fill("attempts", attempts, () => attemptItems(attempts));
  fill("server", [info, link], () => (info ? serverFacts(detail) : []));
  fill("check", check, () => (check ? checkFacts(detail) : []));
  fill("counters", counters, () => (counters ? counterFacts(detail) : []));
}

function showRestart(restart) {
  byId("drawer-restart").hidden = !restart;
  if (restart) fill("restart", restart, () => restartFacts(restart));
}

function showWarmth({ name, stats }) {
  const windows = stats?.servers[name];
  byId("drawer-warmth").hidden = !windows;
  if (windows) fill("warmth", [windows, stats.trend], () => warmthFigures(windows, stats.trend.server));
}

/** Show the requests that were sent to the server, if there were any. */
function showRequests({ decisions }) {
  const counts = decisions?.servers[0];
  byId("drawer-requests").hidden = !counts?.requests;
  if (counts?.requests) fill("requests", [counts, decisions.newest], () => requestFacts(counts, decisions.newest));
}

const requestFacts = (counts, newest) => [
  make("p", "", requestsSummary(counts)),
  ...reasonBars(counts.reasons),
  ...newestDecisions(newest.slice(0, SHOWN_DECISIONS)),
];

function fill(part, data, render) {
  const key = locale() + JSON.stringify(data);
  if (shown.get(part) === key) return;
  shown.set(part, key);
  replaceContent(byId(`drawer-${part}`).querySelector(".content"), render());
}
