// One group's row: its states, the warmth of its last day, and its actions.

import { updateGroupButtons } from "../actions/buttons.js";
import { cloneTemplate, make, setName, setText } from "../ui/dom.js";
import { formatNumber, formatPercent } from "../ui/format.js";
import { label, locale } from "../ui/i18n.js";
import { warmthTrend } from "../warmth/trend.js";

export class GroupRow {
  node = cloneTemplate("group-template");
  #toggle = this.node.querySelector(".toggle");
  #count = this.node.querySelector(".group-count");
  #states = this.node.querySelector(".group-states");
  #warmth = this.node.querySelector(".group-warmth");
  #buttons = [...this.node.querySelectorAll("button.act")];
  #shownStates = "";
  #shownWarmth = "";

  /** `group`: of the fleet. `stats`: {share, trend} of its last day, or null. `index`: the row's position. */
  show(group, stats, collapsed, index) {
    this.node.setAttribute("aria-rowindex", index + 2);
    this.node.dataset.group = group.name;
    this.#toggle.setAttribute("aria-expanded", String(!collapsed));
    setName(this.#toggle.querySelector(".group-name"), group.name);
    setText(this.#count, `${formatNumber(group.counts.loaded ?? 0)} / ${formatNumber(group.names.length)}`);
    this.#showStates(group.counts);
    updateGroupButtons(this.#buttons, group.name);
    this.#showWarmth(stats);
  }

  #showStates(counts) {
    const parts = Object.entries(counts).filter(([, count]) => count > 0);
    const key = parts.join();
    if (this.#shownStates === key) return;
    this.#shownStates = key;
    const bar = make("span", "bar");
    bar.setAttribute("aria-hidden", "true");
    for (const [state, count] of parts) {
      const segment = make("span");
      segment.dataset.state = state;
      segment.style.flexGrow = String(count);
      bar.append(segment);
    }
    this.#states.replaceChildren(bar);
  }

  #showWarmth(stats) {
    const key = stats ? locale() + JSON.stringify(stats) : "";
    if (this.#shownWarmth === key) return;
    this.#shownWarmth = key;
    this.#warmth.replaceChildren();
    if (!stats || stats.share === null) return;
    const caption = make("span", "unit", label("warm_24h"));
    this.#warmth.append(warmthTrend(stats.trend, "spark"), make("b", "", formatPercent(stats.share)), " ", caption);
  }
}
