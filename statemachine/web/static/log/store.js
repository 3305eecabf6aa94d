// The entries of the event log: newest first, without gaps, limited in number. While the log is paused, new entries
// wait. Older entries that were loaded for the current filters follow those of the stream.

const LIMIT = 5000;

export class LogStore {
  entries = [];
  waiting = [];
  older = [];
  paused = false;
  /** The number before which the next page begins. undefined: the oldest entry's; null: no more pages. */
  #next = undefined;

  /** Add an entry from the stream. */
  add(entry) {
    this.waiting.push(entry);
    if (this.waiting.length > LIMIT) this.waiting.shift();
  }

  /** Take the waiting entries, unless paused; return how many there were. */
  flush() {
    if (this.paused || this.waiting.length === 0) return 0;
    const fresh = this.waiting.reverse();
    this.waiting = [];
    // If more waited than the limit, some were dropped: entries beyond the gap must go, too.
    const all = fresh.length < LIMIT ? [...fresh, ...this.entries] : fresh;
    this.entries = all.slice(0, LIMIT);
    if (this.entries.length < all.length || fresh.length >= LIMIT) this.dropOlder();
    return fresh.length;
  }

  /** Add a page of older entries. `next`: the number before which the next page begins, or null. */
  addOlder(entries, next) {
    this.older.push(...entries);
    this.#next = next;
  }

  /** Whether older entries were requested for the current filters, or there are none. */
  get isSearched() {
    return this.#next !== undefined || this.before === null;
  }

  /** Drop the older entries when the filters change or a gap opens before them. */
  dropOlder() {
    this.older = [];
    this.#next = undefined;
  }

  /** The number before which to request older entries, or null if there are none. */
  get before() {
    if (this.#next !== undefined) return this.#next;
    return this.entries.findLast((entry) => entry.id !== null)?.id ?? null;
  }

  /** Return the entries that match. `words` are looked for in the names of server and group. */
  matching({ words, state, reason }) {
    return [...this.entries, ...this.older].filter((entry) => {
      if (state && entry.to !== state) return false;
      if (reason && entry.reason !== reason) return false;
      const names = `${entry.server ?? ""} ${entry.group ?? ""}`.toLowerCase();
      return words.every((word) => names.includes(word));
    });
  }
}
