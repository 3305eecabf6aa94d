// The sources of servers that come and go, and how they do: shown where the settings have any.

import { fetchSources } from "../state/api.js";
import { byId, make, replaceContent, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { label, locale, messageText } from "../ui/i18n.js";
import { setRelativeTime, updateRelativeTimes } from "../ui/time.js";
import { throttle } from "../ui/throttle.js";

const REFRESH_MS = 10000;
const REFRESH_AFTER_NOTICE_MS = 1000;
const MOST_REFUSALS = 5;

export class SourcesPanel {
  #found = [];
  #shown = "";
  #refreshSoon = throttle(REFRESH_AFTER_NOTICE_MS, () => this.refresh());

  constructor() {
    setInterval(() => document.hidden || this.#found.length === 0 || this.refresh(), REFRESH_MS);
  }

  async refresh() {
    this.#found = (await fetchSources().catch(() => null))?.sources ?? this.#found;
    this.show();
  }

  /** Refresh after a notice about sources, or about other settings. */
  receive(entry) {
    if (entry.reason.startsWith("discovery_") || entry.reason === "settings_reloaded") this.#refreshSoon();
  }

  show() {
    const key = locale() + JSON.stringify(this.#found);
    updateRelativeTimes(byId("sources-list"));
    if (key === this.#shown) return;
    this.#shown = key;
    byId("sources").hidden = this.#found.length === 0;
    const troubled = this.#found.filter(isTroubled).length;
    const counts = { count: formatNumber(this.#found.length), troubled: formatNumber(troubled) };
    setText(byId("sources-summary"), label(troubled > 0 ? "sources_troubled" : "sources_well", counts));
    replaceContent(byId("sources-list"), [...this.#found].sort(byTrouble).map(sourceItem));
  }
}

const isTroubled = (source) => source.failures > 0 || source.refused_total > 0 || source.held !== null;
const byTrouble = (one, other) => Number(isTroubled(other)) - Number(isTroubled(one));

function sourceItem(source) {
  const head = make("p", "", make("b", "", source.name), " ", make("span", "unit", facts(source), answered(source)));
  const error = source.error && make("p", "error", messageText(source, "error"));
  const held = source.held && make("p", "error", messageText(source, "held"));
  return make("li", source.failures > 0 ? "failing" : "", head, error, held, refusals(source));
}

function facts({ kind, servers, missing, failures }) {
  const known = [kind, label("source_servers", { count: formatNumber(servers) })];
  if (missing > 0) known.push(label("source_missing", { count: formatNumber(missing) }));
  if (failures > 0) known.push(label("source_failures", { count: formatNumber(failures) }));
  return known.join(" · ");
}

function answered({ answered_at: at }) {
  if (at === null) return ` · ${label("source_not_answered")}`;
  const node = make("time", "");
  setRelativeTime(node, at);
  return make("span", "", ` · ${label("source_answered")} `, node);
}

function refusals({ refusals: found, refused_total: total }) {
  if (total === 0) return null;
  const shown = found.slice(0, MOST_REFUSALS).map((one) => make("li", "", messageText(one)));
  const more = total - shown.length;
  if (more > 0) shown.push(make("li", "unit", label("alerts_more", { count: formatNumber(more) })));
  return make("ul", "refusals", ...shown);
}
