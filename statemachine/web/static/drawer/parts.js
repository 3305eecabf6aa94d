// What the drawer shows of a dossier, each part drawn anew only where what it tells has changed.

import { now } from "../ui/time.js";
import { byId, make, redraw } from "../ui/dom.js";
import { warmthFigures } from "../warmth/figures.js";
import { attemptItems, checkFacts, counterFacts, nowFacts, serverFacts } from "./facts.js";
import { locale } from "../ui/i18n.js";
import { evidence, strip } from "./timeline.js";

const told = new Map();

/** `view`: the server's newest line. */
export function showParts(dossier, view) {
  if (view) fill("now", view, () => nowFacts(view).filter(Boolean));
  const { detail, entries } = dossier;
  const minute = Math.floor(now() / 60000);
  fill("timeline", [detail !== null, entries, minute], () => (detail ? strip(entries, now()) : []));
  fill("evidence", entries, () => [make("ol", "evidence", ...entries.map(evidence))]);
  showWarmth(dossier);
  const { attempts = [], server = null, link, check, counters } = detail ?? {};
  fill("attempts", attempts, () => attemptItems(attempts));
  fill("server", [server, link], () => (server ? serverFacts(detail) : []));
  fill("check", check, () => (check ? checkFacts(detail) : []));
  fill("counters", counters, () => (counters ? counterFacts(detail) : []));
}

function showWarmth({ name, stats }) {
  const windows = stats?.servers[name];
  byId("drawer-warmth").hidden = !windows;
  if (windows) fill("warmth", [windows, stats.trend], () => warmthFigures(windows, stats.trend.server));
}

function fill(part, what, draw) {
  const key = locale() + JSON.stringify(what);
  if (told.get(part) === key) return;
  told.set(part, key);
  redraw(byId(`drawer-${part}`).querySelector(".content"), draw());
}
