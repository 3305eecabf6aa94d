// The live event log: filters, pause, and older entries on demand.

import { fetchLog } from "../state/api.js";
import { byId, setText } from "../ui/dom.js";
import { number } from "../ui/format.js";
import { LogLine } from "./entry.js";
import { LogStore } from "./store.js";
import { label } from "../ui/i18n.js";
import { Windowed } from "../table/virtual_list.js";

const PAGE = 200;
const PAGES_A_CLICK = 5;
const scroller = byId("log-scroll");
const body = byId("log");
const [search, state, reason] = ["log-search", "log-state", "log-reason"].map(byId);
const [pause, older] = [byId("log-pause"), byId("log-older")];

export class EventLog {
  #store = new LogStore();
  #number = 0;
  #entryHeight = 0;
  #list = new Windowed({
    body,
    sight: () => [scroller.scrollTop, scroller.scrollTop + scroller.clientHeight],
    heightOf: () => this.#entryHeight,
    create: () => newLine(),
  });

  constructor() {
    scroller.addEventListener("scroll", () => this.#list.draw(), { passive: true });
    new ResizeObserver(() => this.relabel()).observe(scroller);
    for (const control of [search, state, reason]) control.addEventListener("input", () => this.#filter());
    pause.addEventListener("click", () => this.#pause());
    older.addEventListener("click", () => this.#loadOlder());
    this.relabel();
  }

  /** Keep an entry for the next `show`. The stream brings each once, also across a reconnect. */
  add(entry) {
    this.#number += 1;
    this.#store.add({ ...entry, key: `entry/${this.#number}` });
  }

  /** Show what has come; what the reader looks at stays where it is. */
  show() {
    if (this.#store.paused) this.#showWaiting();
    if (this.#store.admit() === 0) return;
    const before = this.#list.height;
    this.#arrange();
    if (scroller.scrollTop > 0) scroller.scrollTop += this.#list.height - before;
    this.#list.draw();
  }

  /** Show everything anew: in another language, or in another width. */
  relabel() {
    this.#entryHeight = parseFloat(getComputedStyle(scroller).getPropertyValue("--entry-height"));
    this.#showWaiting();
    this.#list.measure();
    this.#list.draw(true);
  }

  #arrange() {
    this.#list.setItems(this.#store.matching(this.#wanted()));
    byId("log-empty").hidden = this.#list.items.length > 0;
    older.hidden = this.#store.before === null;
  }

  #wanted() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return { words, state: state.value, reason: reason.value };
  }

  #filter() {
    this.#store.forgetOlder();
    this.#arrange();
    scroller.scrollTop = 0;
    this.#list.draw();
  }

  #pause() {
    this.#store.paused = !this.#store.paused;
    pause.setAttribute("aria-pressed", String(this.#store.paused));
    this.#showWaiting();
    this.show();
  }

  #showWaiting() {
    const count = this.#store.paused ? this.#store.waiting.length : 0;
    setText(byId("log-waiting"), this.#store.paused ? label("waiting", { count: number(count) }) : "");
  }

  /** Until something that the filters let through has come, within bounds. */
  async #loadOlder() {
    older.disabled = true;
    const before = this.#list.items.length;
    try {
      for (let page = 0; page < PAGES_A_CLICK && this.#list.items.length === before; page += 1) {
        if (this.#store.before === null) break;
        await this.#loadPage();
      }
    } catch {
      // The button stays, for another try.
    } finally {
      older.disabled = false;
      this.#list.draw();
    }
  }

  async #loadPage() {
    const { state: to, reason: why } = this.#wanted();
    const query = { before: this.#store.before, limit: PAGE, ...(to && { state: to }), ...(why && { reason: why }) };
    const { entries, next } = await fetchLog(query);
    this.#store.addOlder(entries.map((entry) => ({ ...entry, key: `older/${entry.id}` })), next);
    this.#arrange();
  }
}

function newLine() {
  const line = new LogLine();
  return { node: line.node, show: (entry) => line.show(entry) };
}
