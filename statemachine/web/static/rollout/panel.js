// The rolling restart: shown while one is going on, and afterwards until the reader hides it. Without one, the section
// only has the button that starts one, where a group can be restarted.

import { fetchRollout } from "../state/api.js";
import { byId, replaceContent, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { label } from "../ui/i18n.js";
import { watchButtons } from "./buttons.js";
import { MOST, facts, serverList, stageBar, total } from "./parts.js";
import { rolloutState } from "./texts.js";

const REFRESH_MS = 2000;
const STORAGE_KEY = "comfywarm.rollout.hidden";

export class RolloutPanel {
  #run = null;
  #groups = [];
  #shown = "";
  #fetching = null;
  #isStale = false;

  constructor() {
    watchButtons({ current: () => this.#run, groups: () => this.#groups, onDone: () => this.refresh() });
    byId("rollout-hide").addEventListener("click", () => this.#hide());
    setInterval(() => this.#tick(), REFRESH_MS);
  }

  /** Fetch the run, once more at most if it is asked for meanwhile: notices come many at a time. */
  refresh() {
    this.#isStale = true;
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = null));
    return this.#fetching;
  }

  async #fetch() {
    while (this.#isStale) {
      this.#isStale = false;
      try {
        ({ rollout: this.#run, groups: this.#groups } = await fetchRollout(MOST));
      } catch {
        return; // keep the previous run
      }
      this.#showChanges();
    }
  }

  /** Refresh at once after news of the run or its servers, or of settings, which may add hooks and groups. */
  receive(entry) {
    const isNews = entry.reason.startsWith("rollout_") || entry.reason === "settings_reloaded";
    if (isNews || this.#isLeft(entry.server)) this.refresh();
  }

  /** Return whether the run, which goes on, has not finished with this server. */
  #isLeft(server) {
    const left = this.#run?.ended_at === null ? this.#run.servers : [];
    return left.some((one) => one.server === server && ["waiting", "restarting"].includes(one.stage));
  }

  /** Replace the section only if something is different: a reader may be within it. */
  #showChanges() {
    const seen = JSON.stringify([this.#run, this.#groups]);
    if (seen === this.#shown) return;
    this.#shown = seen;
    this.show();
  }

  show() {
    const run = this.#run;
    const isShown = run !== null && localStorage.getItem(STORAGE_KEY) !== run.id;
    const canStart = this.#groups.length > 0 && (run === null || run.ended_at !== null);
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
    if (this.#run !== null && this.#run.ended_at === null && !document.hidden) this.refresh();
  }

  #hide() {
    localStorage.setItem(STORAGE_KEY, this.#run.id);
    this.show();
  }
}

function summary(run) {
  const { waiting, restarting } = run.counts;
  const counted = { over: formatNumber(total(run) - waiting - restarting), total: formatNumber(total(run)) };
  return label("rollout_summary", { group: run.group, state: rolloutState(run.state), ...counted });
}

const isOpen = (run) => ["running", "paused"].includes(run?.state);

/** `run`: the run that is shown, or null. */
function showButtons(run) {
  byId("rollout-pause").hidden = run?.state !== "running";
  byId("rollout-resume").hidden = run?.state !== "paused" && !run?.left;
  byId("rollout-cancel").hidden = !isOpen(run);
  byId("rollout-hide").hidden = !run?.ended_at;
}
