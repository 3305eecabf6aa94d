// The live event log, with filters, a pause button and older entries on request.

import { fetchLog } from "../state/api.js";
import { VirtualList } from "../table/virtual_list.js";
import { byId, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { label, setLabel } from "../ui/i18n.js";
import { LogEntry } from "./entry.js";
import { LogStore } from "./store.js";

const PAGE_SIZE = 200;
const MAX_PAGES_PER_CLICK = 5;
const scroller = byId("log-scroll");
const body = byId("log");
const [search, state, reason] = ["log-search", "log-state", "log-reason"].map(byId);
const [pause, older] = [byId("log-pause"), byId("log-older")];

const SEARCH_MS = 250;

export class EventLog {
  #store = new LogStore();
  #timer = 0;
  #added = 0;
  #entryHeight = 0;
  #list = new VirtualList({
    body,
    viewport: () => [scroller.scrollTop, scroller.scrollTop + scroller.clientHeight],
    heightOf: () => this.#entryHeight,
    create: createEntry,
  });

  constructor() {
    scroller.addEventListener("scroll", () => this.#list.render(), { passive: true });
    new ResizeObserver(() => this.renderAll()).observe(scroller);
    for (const control of [search, state, reason]) control.addEventListener("input", () => this.#filter());
    pause.addEventListener("click", () => this.#togglePause());
    older.addEventListener("click", () => this.#loadOlder());
    this.renderAll();
  }

  /** Keep an entry for the next `show`. The stream delivers each entry once, also across reconnects. */
  add(entry) {
    this.#added += 1;
    this.#store.add({ ...entry, key: `entry/${this.#added}` });
  }

  /** Show the new entries without moving those that the reader looks at. */
  show() {
    if (this.#store.paused) this.#showWaiting();
    if (this.#store.flush() === 0) return;
    const before = this.#list.height;
    this.#updateItems();
    if (scroller.scrollTop > 0) scroller.scrollTop += this.#list.height - before;
    this.#list.render();
  }

  /** Render everything again, after a change of language or size. */
  renderAll() {
    this.#entryHeight = parseFloat(getComputedStyle(scroller).getPropertyValue("--entry-height"));
    this.#showWaiting();
    this.#list.measure();
    this.#list.render(true);
  }

  #updateItems() {
    this.#list.setItems(this.#store.matching(filters()));
    byId("log-empty").hidden = this.#list.items.length > 0;
    setLabel(byId("log-empty"), isFiltered() && !this.#store.isSearched ? "log_searching" : "log_empty");
    older.hidden = this.#store.before === null;
  }

  /** Show the entries of the stream that match, and soon those of the daemon's store. */
  #filter() {
    this.#store.dropOlder();
    this.#updateItems();
    scroller.scrollTop = 0;
    this.#list.render();
    clearTimeout(this.#timer);
    if (isFiltered()) this.#timer = setTimeout(() => this.#loadOlder(), SEARCH_MS);
  }

  #togglePause() {
    this.#store.paused = !this.#store.paused;
    pause.setAttribute("aria-pressed", String(this.#store.paused));
    this.#showWaiting();
    this.show();
  }

  #showWaiting() {
    const { paused, waiting } = this.#store;
    setText(byId("log-waiting"), paused ? label("waiting", { count: formatNumber(waiting.length) }) : "");
  }

  /** Load pages until one has an entry, at most a few per click: the daemon ends its search after a while. */
  async #loadOlder() {
    older.disabled = true;
    const before = this.#list.items.length;
    try {
      for (let page = 0; page < MAX_PAGES_PER_CLICK && this.#list.items.length === before; page += 1) {
        if (this.#store.before === null) break;
        if (!(await this.#loadPage())) return;
      }
    } catch {
      // The button remains for another attempt.
    } finally {
      older.disabled = false;
      this.#list.render();
    }
  }

  /** Return whether the page was added: the filters may have changed meanwhile. */
  async #loadPage() {
    const { older: list } = this.#store;
    const query = { before: this.#store.before, limit: PAGE_SIZE };
    if (state.value) query.state = state.value;
    if (reason.value) query.reason = reason.value;
    if (search.value.trim()) query.q = search.value;
    const { entries, next } = await fetchLog(query);
    if (this.#store.older !== list || this.#store.before !== query.before) return false;
    this.#store.addOlder(entries.map((entry) => ({ ...entry, key: `older/${entry.id}` })), next);
    this.#updateItems();
    return true;
  }
}

function filters() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  return { words, state: state.value, reason: reason.value };
}

const isFiltered = () => Boolean(search.value.trim() || state.value || reason.value);

function createEntry() {
  const entry = new LogEntry();
  return { node: entry.node, show: (data) => entry.show(data) };
}
