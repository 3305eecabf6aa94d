// Keeps the fleet in sync with the daemon. The stream is open before the status is fetched, and events that arrive
// meanwhile are applied after it, so none is missed. The status is fetched again when the stream reopens, when the
// settings are reloaded, when discovered servers come or go, and when an event names an unknown server.

import { syncClock } from "../ui/time.js";
import { fetchStatus } from "./api.js";

const RETRY_MS = 2000;
const REFETCH_MS = 500;
const RELOADED = new Set(["settings_reloaded", "discovery_changed"]);

export class Sync {
  ready = false;
  #fleet;
  #onReplaced;
  #onChange;
  #pending = null; // while the status is fetched: the newest view of each changed server
  #timer = 0;
  #fetches = 0;

  /** `onReplaced()` runs after a complete status, `onChange(before, view)` after one server's new view. */
  constructor(fleet, { onReplaced, onChange }) {
    this.#fleet = fleet;
    this.#onReplaced = onReplaced;
    this.#onChange = onChange;
  }

  async start() {
    clearTimeout(this.#timer);
    this.#pending ??= new Map();
    this.#fetches += 1;
    const fetchNumber = this.#fetches;
    const status = await fetchStatus().catch(() => null);
    if (fetchNumber !== this.#fetches) return; // a later fetch is under way
    if (status) this.#replaceFleet(status);
    else this.#startIn(RETRY_MS);
  }

  receive(topic, data) {
    const view = topic === "progress" ? data : data.view;
    if (RELOADED.has(data.reason)) this.#startIn(REFETCH_MS);
    if (!view) return;
    if (this.#pending) this.#pending.set(view.name, view);
    else this.#change(view);
  }

  #replaceFleet(status) {
    syncClock(status.generated_at);
    this.#fleet.replaceAll(status.servers);
    for (const view of this.#pending.values()) this.#fleet.putUnlessOlder(view);
    this.#pending = null;
    this.ready = true;
    this.#onReplaced();
  }

  #change(view) {
    const before = this.#fleet.views.get(view.name);
    if (before?.group !== view.group) {
      this.#startIn(REFETCH_MS);
      return;
    }
    this.#fleet.put(view);
    this.#onChange(before, view);
  }

  #startIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.start(), ms);
  }
}
