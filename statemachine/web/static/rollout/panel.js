// The rolling restart: shown while one is going on, and afterwards until the reader hides it. Without one, the section
// only has the button that starts one, where a group can be restarted.

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
  #groups = [];
  #skipped = 0;

  constructor() {
    watchButtons({ current: () => this.#run, groups: () => this.#groups, onDone: () => this.refresh() });
    byId("rollout-hide").addEventListener("click", () => this.#hide());
    setInterval(() => this.#tick(), REFRESH_MS);
  }

  async refresh() {
    try {
      ({ rollout: this.#run, groups: this.#groups } = await fetchRollout());
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
    const isShown = run !== null && localStorage.getItem(STORAGE_KEY) !== run.id;
    const canStart = this.#groups.length > 0 && !isOpen(run);
    byId("rollout").hidden = !isShown && !canStart;
    byId("rollout-body").hidden = !isShown;
    byId("rollout-start").hidden = !canStart;
    setText(byId("rollout-summary"), isShown ? summary(run) : label("rollout_not_running"));
    showButtons(isShown ? run : null);
    if (!isShown) return;
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

const isOpen = (run) => ["running", "paused"].includes(run?.state);

/** `run`: the run that is shown, or null. */
function showButtons(run) {
  byId("rollout-pause").hidden = run?.state !== "running";
  byId("rollout-resume").hidden = run?.state !== "paused";
  byId("rollout-cancel").hidden = !isOpen(run);
  byId("rollout-hide").hidden = !run?.ended_at;
}
