// The event log as far as the page holds it: newest first, without a gap, bounded. While it is paused, what comes waits.
// Behind what the stream brought stand the older entries that were loaded under the present filters.

const LIMIT = 5000;

export class LogStore {
  entries = [];
  waiting = [];
  older = [];
  /** The number before which still older ones begin; undefined: before the oldest entry; null: there are none. */
  next = undefined;
  paused = false;

  /** An entry of the stream. */
  add(entry) {
    this.waiting.push(entry);
    if (this.waiting.length > LIMIT) this.waiting.shift();
  }

  /** Let in what waits, unless paused; how many came. */
  admit() {
    if (this.paused || this.waiting.length === 0) return 0;
    const came = this.waiting.reverse();
    this.waiting = [];
    // Where more waited than fits, what is older than the gap goes, too.
    const all = came.length < LIMIT ? [...came, ...this.entries] : came;
    this.entries = all.slice(0, LIMIT);
    if (this.entries.length < all.length || came.length >= LIMIT) this.forgetOlder();
    return came.length;
  }

  addOlder(entries, next) {
    this.older.push(...entries);
    this.next = next;
  }

  /** The filters are others, or a gap has opened before them. */
  forgetOlder() {
    this.older = [];
    this.next = undefined;
  }

  /** Before which number to ask for older entries; null where there are none to ask for. */
  get before() {
    if (this.next !== undefined) return this.next;
    return this.entries.findLast((entry) => entry.id !== null)?.id ?? null;
  }

  /** What the filters let through: words in the names of server and group, the state reached, the reason. */
  matching({ words, state, reason }) {
    return [...this.entries, ...this.older].filter((entry) => {
      if (state && entry.to !== state) return false;
      if (reason && entry.reason !== reason) return false;
      const names = `${entry.server ?? ""} ${entry.group ?? ""}`.toLowerCase();
      return words.every((word) => names.includes(word));
    });
  }
}
