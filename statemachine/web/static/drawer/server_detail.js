// All that is known of one server, kept fresh while somebody reads it. No document here.

import { fetchLog, fetchServer, fetchStats } from "../state/api.js";

const REFRESH_MS = 10000;
const CHANGED_REFRESH_MS = 700;
const PAGE = 50;

export class Dossier {
  detail = null;
  /** The answer of /api/stats, or null where there is none. */
  stats = null;
  /** Transitions, newest first, without a gap. */
  entries = [];
  gone = false;
  #next = undefined;
  #timer = 0;
  #closed = false;
  #onChange;

  constructor(name, onChange) {
    this.name = name;
    this.#onChange = onChange;
    this.#refresh();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** The stream has brought a transition of this server. */
  add(entry) {
    if (this.detail && entry.id > (this.entries[0]?.id ?? 0)) this.entries = [entry, ...this.entries];
  }

  /** Its line has changed, and so may the rest. */
  refreshSoon() {
    this.#refreshIn(CHANGED_REFRESH_MS);
  }

  get hasOlder() {
    return this.entries.length > 0 && this.#next !== null;
  }

  async loadOlder() {
    const before = this.#next ?? this.entries.at(-1).id;
    const { entries, next } = await fetchLog({ server: this.name, before, limit: PAGE });
    this.entries = [...this.entries, ...entries];
    this.#next = next;
    this.#tell();
  }

  async #refresh() {
    this.#refreshIn(REFRESH_MS);
    const [detail, stats] = await Promise.all([
      fetchServer(this.name).catch((error) => error),
      fetchStats({ server: this.name }).catch(() => this.stats),
    ]);
    this.gone = detail.status === 404;
    this.stats = stats;
    if (!(detail instanceof Error)) {
      this.detail = detail;
      this.#merge(detail.transitions);
    }
    this.#tell();
  }

  #merge(newest) {
    const oldest = newest.at(-1)?.id ?? 0;
    this.entries = [...newest, ...this.entries.filter((entry) => entry.id < oldest)];
  }

  #refreshIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refresh(), ms);
  }

  #tell() {
    if (!this.#closed) this.#onChange();
  }
}
