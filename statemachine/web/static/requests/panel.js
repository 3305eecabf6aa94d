// Where requests went and why: shown once POST /api/route or a gateway is used.

import { fetchDecisions } from "../state/api.js";
import { byId, make, replaceContent, setText } from "../ui/dom.js";
import { label } from "../ui/i18n.js";
import { formatDateTime } from "../ui/time.js";
import { coldTrend, reasonBars, requestsSummary } from "./figures.js";
import { newestDecisions } from "./newest.js";
import { serverCounts } from "./servers.js";

const REFRESH_MS = 10000;
/** Refreshes that are skipped while no request is routed. */
const SKIPPED = 5;
const STORAGE_KEY = "comfywarm.requests";
const section = byId("requests");
const toggle = byId("requests-toggle");

export class RequestsPanel {
  #decisions = null;
  #skipped = 0;

  constructor() {
    toggle.addEventListener("click", () => this.#open(toggle.getAttribute("aria-expanded") !== "true"));
    setInterval(() => this.#tick(), REFRESH_MS);
    this.#open(localStorage.getItem(STORAGE_KEY) === "open");
  }

  async refresh() {
    try {
      this.#decisions = await fetchDecisions();
    } catch {
      return; // keep the previous figures
    }
    this.show();
  }

  show() {
    const decisions = this.#decisions;
    const used = decisions !== null && isUsed(decisions);
    section.hidden = !used;
    byId("requests-view").hidden = !used;
    if (!used) return;
    setText(byId("requests-summary"), requestsSummary(decisions.fleet));
    const parts = decisions.fleet.requests > 0 ? figures(decisions) : [make("p", "empty", label("no_requests"))];
    replaceContent(byId("requests-figures"), parts);
  }

  #tick() {
    this.#skipped = this.#decisions && !isUsed(this.#decisions) && this.#skipped < SKIPPED ? this.#skipped + 1 : 0;
    if (this.#skipped === 0 && !document.hidden) this.refresh();
  }

  #open(open) {
    section.classList.toggle("open", open);
    toggle.setAttribute("aria-expanded", String(open));
    localStorage.setItem(STORAGE_KEY, open ? "open" : "closed");
  }
}

const isUsed = ({ fleet, gateways }) => fleet.requests > 0 || gateways > 0;

function figures(decisions) {
  const { fleet, trend, servers, server_count: count, newest, since } = decisions;
  const counted = make("p", "unit", label("requests_since", { time: formatDateTime(since) }));
  return [
    make("div", "requests-part", ...coldTrend(trend), ...reasonBars(fleet.reasons), counted),
    make("div", "requests-part", ...serverCounts(servers, count)),
    make("div", "requests-part", ...newestDecisions(newest)),
  ];
}
