// The warmth of the fleet or of one group, refreshed once a minute.

import { fetchStats } from "../state/api.js";
import { byId, preselect, replaceContent } from "../ui/dom.js";
import { warmthFigures } from "./figures.js";

const REFRESH_MS = 60000;
const scope = byId("warmth-scope");

export class WarmthPanel {
  #stats = null;
  #onRefresh;

  /** `onRefresh()` runs after new figures have arrived. */
  constructor(onRefresh) {
    this.#onRefresh = onRefresh;
    scope.addEventListener("change", () => this.show());
    setInterval(() => this.refresh(), REFRESH_MS);
  }

  async refresh() {
    try {
      this.#stats = await fetchStats({ servers: false });
    } catch {
      return; // keep the previous figures
    }
    this.show();
    this.#onRefresh();
  }

  /** Return {share, trend} of a group's last day, or null. */
  lastDay(group) {
    const windows = this.#stats?.groups[group];
    return windows ? { share: windows["24h"].warm_share, trend: this.#stats.trend.groups[group] ?? [] } : null;
  }

  /** Show a group, or the whole fleet (""). */
  select(group) {
    if (this.#stats === null && group) preselect(scope, group);
    scope.value = group;
    this.show();
  }

  show() {
    byId("warmth").hidden = this.#stats === null;
    if (this.#stats === null) return;
    const { fleet, groups, trend } = this.#stats;
    const [windows, points] = scope.value ? [groups[scope.value], trend.groups[scope.value]] : [fleet, trend.fleet];
    replaceContent(byId("warmth-figures"), windows ? warmthFigures(windows, points) : []);
  }
}
