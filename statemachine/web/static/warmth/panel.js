// The warmth of the fleet or of one group, asked for once a minute.

import { fetchStats } from "../state/api.js";
import { byId, redraw } from "../ui/dom.js";
import { warmthFigures } from "./figures.js";

const EVERY_MS = 60000;
const scope = byId("warmth-scope");

export class Warmth {
  #stats = null;
  #onChange;

  /** `onChange()` when new figures have come. */
  constructor(onChange) {
    this.#onChange = onChange;
    scope.addEventListener("change", () => this.show());
    setInterval(() => this.refresh(), EVERY_MS);
  }

  async refresh() {
    try {
      this.#stats = await fetchStats({ servers: false });
    } catch {
      return; // the figures of a minute ago are still good
    }
    this.show();
    this.#onChange();
  }

  /** The last day of a group, or null. */
  day(group) {
    const windows = this.#stats?.groups[group];
    return windows ? { share: windows["24h"].warm_share, trend: this.#stats.trend.groups[group] ?? [] } : null;
  }

  /** Look at a group, or with "" at the fleet. */
  choose(group) {
    scope.value = group;
    this.show();
  }

  show() {
    byId("warmth").hidden = this.#stats === null;
    if (this.#stats === null) return;
    const { fleet, groups, trend } = this.#stats;
    const windows = scope.value ? groups[scope.value] : fleet;
    redraw(byId("warmth-figures"), windows ? warmthFigures(windows, this.#trend(trend)) : []);
  }

  #trend(trend) {
    return scope.value ? trend.groups[scope.value] : trend.fleet;
  }
}
