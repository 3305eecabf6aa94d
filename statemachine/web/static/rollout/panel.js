// The rolling restart: shown while one is going on, and afterwards until the reader hides it.

import { fetchRollout } from "../state/api.js";
import { byId, replaceContent, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { label } from "../ui/i18n.js";
import { watchButtons } from "./buttons.js";
import { facts, serverList, stageBar } from "./parts.js";
import { rolloutState } from "./texts.js";

const REFRESH_MS = 2000;
/** Refreshes that are skipped while no run is going on. */
const SKIPPED = 4;
const STORAGE_KEY = "comfywarm.rollout.hidden";

export class RolloutPanel {
  #run = null;
  #skipped = 0;

  constructor() {
    watchButtons(() => this.#run, () => this.refresh());
    byId("rollout-hide").addEventListener("click", () => this.#hide());
    setInterval(() => this.#tick(), REFRESH_MS);
  }

  async refresh() {
    try {
      this.#run = (await fetchRollout()).rollout;
    } catch {
      return; // keep the previous run
    }
    this.show();
  }

  /** Refresh at once after a notice about a run. */
  receive(entry) {
    if (entry.reason.startsWith("rollout_")) this.refresh();
  }

  show() {
    const run = this.#run;
    byId("rollout").hidden = run === null || localStorage.getItem(STORAGE_KEY) === run.id;
    if (byId("rollout").hidden) return;
    setText(byId("rollout-summary"), summary(run));
    showButtons(run);
    replaceContent(byId("rollout-facts"), [stageBar(run), ...facts(run)]);
    replaceContent(byId("rollout-list"), serverList(run));
  }

  #tick() {
    const isIdle = this.#run === null || this.#run.ended_at !== null;
    this.#skipped = isIdle && this.#skipped < SKIPPED ? this.#skipped + 1 : 0;
    if (this.#skipped === 0 && !document.hidden) this.refresh();
  }

  #hide() {
    localStorage.setItem(STORAGE_KEY, this.#run.id);
    this.show();
  }
}

function summary(run) {
  const { waiting, restarting } = run.counts;
  const total = run.servers.length;
  const counted = { over: formatNumber(total - waiting - restarting), total: formatNumber(total) };
  return label("rollout_summary", { group: run.group, state: rolloutState(run.state), ...counted });
}

function showButtons(run) {
  byId("rollout-pause").hidden = run.state !== "running";
  byId("rollout-resume").hidden = run.state !== "paused";
  byId("rollout-cancel").hidden = !["running", "paused"].includes(run.state);
  byId("rollout-hide").hidden = run.ended_at === null;
}
