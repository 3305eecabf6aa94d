// The table of servers: one <tbody> a group, one row a server, changed in place. Rows far from the window wait with their
// changes until they come near, so that the work follows the size of the window and not that of the fleet.

import { showTime, tickAll } from "./clock.js";
import { copyOf, setText, showState } from "./elements.js";
import { label, reasonText, stateText } from "./texts.js";

export class Table {
  #table;
  #rows = new Map();
  #groups = new Map();
  #near = new Set();
  #waiting = new Map();
  #observer = new IntersectionObserver((changes) => changes.forEach((change) => this.#move(change)), {
    rootMargin: "400px",
  });

  constructor(table) {
    this.#table = table;
  }

  /** Show these servers, in their order, and no others. */
  replaceAll(views) {
    this.#clear();
    for (const view of views) {
      const row = copyOf("row-template");
      row.dataset.name = view.name;
      this.#rows.set(view.name, row);
      this.#groupOf(view.group).append(row);
      showServer(row, view);
      this.#observer.observe(row);
    }
    this.#table.append(...this.#groups.values());
  }

  /** Show one server's new line. */
  update(view) {
    const row = this.#rows.get(view.name);
    if (this.#near.has(row)) showServer(row, view);
    else if (row) this.#waiting.set(row, view);
  }

  /** Hide what `matches(view)` denies, and count what is left in each group; the number of servers shown. */
  filter(views, matches) {
    const counts = new Map([...this.#groups.keys()].map((group) => [group, { shown: 0, loaded: 0, total: 0 }]));
    let shown = 0;
    for (const view of views) {
      const row = this.#rows.get(view.name);
      if (!row) continue;
      row.hidden = !matches(view);
      const count = counts.get(view.group);
      count.total += 1;
      count.loaded += view.cache_loaded ? 1 : 0;
      count.shown += row.hidden ? 0 : 1;
      shown += row.hidden ? 0 : 1;
    }
    for (const [group, count] of counts) showGroup(this.#groups.get(group), count);
    this.#table.hidden = shown === 0;
    return shown;
  }

  tick() {
    this.#near.forEach(tickAll);
  }

  #clear() {
    this.#observer.disconnect();
    this.#table.querySelectorAll("tbody").forEach((body) => body.remove());
    for (const known of [this.#rows, this.#groups, this.#near, this.#waiting]) known.clear();
  }

  #move({ target: row, isIntersecting }) {
    if (!isIntersecting) {
      this.#near.delete(row);
      return;
    }
    this.#near.add(row);
    if (this.#waiting.has(row)) showServer(row, this.#waiting.get(row));
    this.#waiting.delete(row);
    tickAll(row);
  }

  #groupOf(name) {
    if (!this.#groups.has(name)) {
      const body = copyOf("group-template");
      body.querySelector(".group-name").textContent = name;
      this.#groups.set(name, body);
    }
    return this.#groups.get(name);
  }
}

function showGroup(body, { shown, loaded, total }) {
  body.hidden = shown === 0;
  setText(body.querySelector(".group-count"), `${loaded} / ${total}`);
}

function showServer(row, view) {
  row.dataset.state = view.state;
  showName(row.querySelector(".col-server a"), view);
  showState(row.querySelector(".badge"), view.state);
  showTime(row.querySelector(".since"), view.since);
  showWhy(row.querySelector(".col-why"), view);
  setText(row.querySelector(".col-queue"), view.queue_remaining === null ? "–" : String(view.queue_remaining));
  showTime(row.querySelector(".col-last_check time"), view.last_check);
  showTime(row.querySelector(".col-next_action time"), view.next_action_at, true);
  for (const [column, key] of CARD_LABELS) row.querySelector(`.col-${column}`).dataset.label = label(key);
  showActions(row, view);
}

/** On a narrow screen a row is a card, and these cells show their column's name. */
const CARD_LABELS = [["queue", "queue"], ["last_check", "last_check"], ["next_action", "next_action"]];

function showName(link, view) {
  setText(link, view.name);
  if (/^https?:/.test(view.url)) link.href = view.url;
  link.title = view.url;
}

function showWhy(cell, view) {
  setText(cell.querySelector(".reason"), reasonText(view.reason));
  setText(cell.querySelector(".message"), view.message);
  cell.querySelector(".message").title = view.message;
  showProgress(cell, view.progress);
  showMissing(cell.querySelector(".missing"), view.missing);
}

function showProgress(cell, progress) {
  cell.querySelector(".progress").hidden = progress === null;
  if (progress === null) return;
  const bar = cell.querySelector("progress");
  bar.ariaLabel = label("progress");
  bar.value = progress;
  setText(cell.querySelector(".percent"), `${Math.floor(progress * 100)} %`);
}

function showMissing(list, keys) {
  list.hidden = keys.length === 0;
  list.ariaLabel = label("missing");
  if (list.dataset.keys === keys.join("\n")) return;
  list.dataset.keys = keys.join("\n");
  list.replaceChildren(...keys.map((key) => Object.assign(document.createElement("li"), { textContent: key })));
}

function showActions(row, view) {
  const [check, warm, pause] = row.querySelectorAll("button.act");
  pause.dataset.action = view.state === "paused" ? "resume" : "pause";
  for (const button of [check, warm, pause]) {
    setText(button, label(button.dataset.action));
    button.ariaLabel = `${label(button.dataset.action)} ${view.name}`;
  }
}

/** What the text filter looks at. */
export function searchable(view) {
  const words = [view.name, view.group, view.state, stateText(view.state), view.reason, reasonText(view.reason)];
  return [...words, view.message, ...view.missing].join(" ").toLowerCase();
}
