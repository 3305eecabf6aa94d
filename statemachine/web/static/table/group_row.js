// A group's row: how it stands, how warm it was, and what may be asked for all of it.

import { trendBars } from "../ui/charts.js";
import { showGroupActions } from "../actions/buttons.js";
import { copyOf, make, setText } from "../ui/dom.js";
import { percent } from "../ui/format.js";
import { label } from "../ui/i18n.js";

export class GroupRow {
  node = copyOf("group-template");
  #toggle = this.node.querySelector(".toggle");
  #count = this.node.querySelector(".group-count");
  #states = this.node.querySelector(".group-states");
  #warmth = this.node.querySelector(".group-warmth");
  #buttons = [...this.node.querySelectorAll("button.act")];
  #shown = null;

  /** `group` of the fleet, `stats`: {share, trend} of its last day or null. */
  show(group, stats, collapsed, index) {
    const total = group.names.length;
    this.node.setAttribute("aria-rowindex", index + 2);
    this.node.dataset.group = group.name;
    this.#toggle.setAttribute("aria-expanded", String(!collapsed));
    setText(this.#toggle.querySelector(".group-name"), group.name);
    setText(this.#count, `${group.counts.loaded ?? 0} / ${total}`);
    this.#showStates(group.counts);
    showGroupActions(this.#buttons, group.name);
    this.#showWarmth(stats);
  }

  #showStates(counts) {
    const parts = Object.entries(counts).filter(([, count]) => count > 0);
    const said = parts.join();
    if (this.#states.dataset.said === said) return;
    this.#states.dataset.said = said;
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
    const said = stats ? JSON.stringify([label("warm_24h"), stats]) : "";
    if (this.#shown === said) return;
    this.#shown = said;
    this.#warmth.replaceChildren();
    if (!stats || stats.share === null) return;
    const words = make("span", "unit", label("warm_24h"));
    this.#warmth.append(trendBars(stats.trend, "spark"), make("b", "", percent(stats.share)), " ", words);
  }
}
