// The last day of the servers whose rows are shown, by the hour. Only those are requested, and again once a minute.

import { fetchTrends } from "../state/api.js";
import { throttle } from "../ui/throttle.js";

/** Minimum time between two requests while the reader scrolls. */
const REQUEST_MS = 300;
const MAX_AGE_MS = 60000;
const RETRY_MS = 10000;
/** Limits of one request: names, and characters of them, since it is a URL. */
const MAX_NAMES = 60;
const MAX_LENGTH = 4000;
/** Servers that are kept. */
const MAX_KEPT = 1000;

export class History {
  #kept = new Map();
  #shownNames;
  #onChange;

  /** `shownNames()`: the servers whose rows are in view. `onChange(name)` runs when a server's hours have arrived. */
  constructor(shownNames, onChange) {
    this.#shownNames = shownNames;
    this.#onChange = onChange;
    setInterval(this.wantSoon, MAX_AGE_MS / 4);
  }

  /** Request what is missing of the rows in view, or old. */
  wantSoon = throttle(REQUEST_MS, () => this.#request());

  /** Return the hours of a server, {at, share} each, or null before they have arrived. */
  of(name) {
    return this.#kept.get(name)?.points ?? null;
  }

  async #request() {
    const names = document.hidden ? [] : limited(this.#shownNames().filter((name) => this.#isDue(name)));
    if (names.length === 0) return;
    const until = performance.now() + RETRY_MS;
    for (const name of names) this.#keep(name, { points: this.of(name), until });
    const trends = await fetchTrends(names).catch(() => null);
    if (trends === null) return;
    for (const [name, shares] of Object.entries(trends.servers)) this.#arrived(name, shares, trends.hours);
    this.wantSoon(); // a request names only so many
  }

  #isDue(name) {
    return performance.now() >= (this.#kept.get(name)?.until ?? 0);
  }

  #arrived(name, shares, hours) {
    const points = shares.map((share, index) => ({ at: hours[index], share }));
    this.#keep(name, { points, until: performance.now() + MAX_AGE_MS });
    this.#onChange(name);
  }

  /** Keep the newest, last in the map. */
  #keep(name, entry) {
    this.#kept.delete(name);
    this.#kept.set(name, entry);
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value);
  }
}

function limited(names) {
  let length = 0;
  return names.slice(0, MAX_NAMES).filter((name) => (length += encodeURIComponent(name).length) <= MAX_LENGTH);
}
