// Keeps the fleet true. Events are held back while the whole status is fetched, and applied after it, so that nothing is
// missed: the stream is open before the status is asked for, and it is asked for again whenever the stream was reopened,
// the settings were read anew, or an event names a server that is not known.

import { fetchStatus } from "./api.js";
import { setClock } from "../ui/time.js";

const RETRY_MS = 2000;
const AGAIN_MS = 500;
const RELOADED = "settings_reloaded";

export class Sync {
  known = false;
  #fleet;
  #onAll;
  #onChange;
  #held = null; // while the status is fetched: the newest line of each server that has changed
  #timer = 0;
  #asked = 0;

  /** `onAll()` after a whole answer, `onChange(before, view)` after one server's new line. */
  constructor(fleet, { onAll, onChange }) {
    this.#fleet = fleet;
    this.#onAll = onAll;
    this.#onChange = onChange;
  }

  async start() {
    clearTimeout(this.#timer);
    this.#held ??= new Map();
    this.#asked += 1;
    const asked = this.#asked;
    const status = await fetchStatus().catch(() => null);
    if (asked !== this.#asked) return; // an answer that was asked for later is on its way
    if (status) this.#take(status);
    else this.#startIn(RETRY_MS);
  }

  #take(status) {
    setClock(status.generated_at);
    this.#fleet.replaceAll(status.servers);
    for (const view of this.#held.values()) this.#fleet.putUnlessOlder(view);
    this.#held = null;
    this.known = true;
    this.#onAll();
  }

  receive(topic, data) {
    const view = topic === "progress" ? data : data.view;
    if (data.reason === RELOADED) this.#startIn(AGAIN_MS);
    if (!view) return;
    if (this.#held) this.#held.set(view.name, view);
    else this.#change(view);
  }

  #change(view) {
    const before = this.#fleet.views.get(view.name);
    if (before?.group !== view.group) {
      this.#startIn(AGAIN_MS);
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
