// Everything the daemon knows about one server, refreshed while the drawer is open.

import { fetchDecisions, fetchLog, fetchOrigin, fetchServer, fetchStats } from "../state/api.js";

const REFRESH_MS = 10000;
const REFRESH_AFTER_CHANGE_MS = 700;
const PAGE_SIZE = 50;

export class ServerDetail {
  /** The response of /api/servers/NAME, or null before the first one. */
  detail = null;
  /** The response of /api/servers/NAME/origin, or null before the first one. */
  origin = null;
  /** The response of /api/stats, or null before the first one. */
  stats = null;
  /** The response of /api/decisions, or null before the first one. */
  decisions = null;
  /** Transitions, newest first, without gaps. */
  entries = [];
  missing = false;
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

  /** Add a transition from the stream. */
  add(entry) {
    if (this.detail && entry.id > (this.entries[0]?.id ?? 0)) this.entries = [entry, ...this.entries];
  }

  /** Refresh shortly after the server's view has changed. */
  refreshSoon() {
    this.#refreshIn(REFRESH_AFTER_CHANGE_MS);
  }

  get hasOlder() {
    return this.entries.length > 0 && this.#next !== null;
  }

  async loadOlder() {
    const before = this.#next ?? this.entries.at(-1).id;
    const { entries, next } = await fetchLog({ server: this.name, before, limit: PAGE_SIZE });
    this.entries = [...this.entries, ...entries];
    this.#next = next;
    this.#notify();
  }

  async #refresh() {
    this.#refreshIn(REFRESH_MS);
    const [detail, stats, decisions, origin] = await Promise.all([
      fetchServer(this.name).catch((error) => error),
      fetchStats({ server: this.name }).catch(() => this.stats),
      fetchDecisions({ server: this.name }).catch(() => this.decisions),
      fetchOrigin(this.name).catch(() => this.origin),
    ]);
    this.missing = detail.status === 404;
    this.stats = stats;
    this.decisions = decisions;
    this.origin = origin;
    if (!(detail instanceof Error)) {
      this.detail = detail;
      this.#merge(detail.transitions);
    }
    this.#notify();
  }

  #merge(newest) {
    const oldest = newest.at(-1)?.id ?? 0;
    this.entries = [...newest, ...this.entries.filter((entry) => entry.id < oldest)];
  }

  #refreshIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refresh(), ms);
  }

  #notify() {
    if (!this.#closed) this.#onChange();
  }
}
