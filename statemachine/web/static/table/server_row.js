// One server's row.

import { showTime } from "../ui/time.js";
import { showServerActions } from "../actions/buttons.js";
import { copyOf, serverHash, setText, showState, stateBadge } from "../ui/dom.js";
import { number, percent } from "../ui/format.js";
import { label, reasonText } from "../ui/i18n.js";

const CHANGED_MS = 1500;

export class ServerRow {
  node = copyOf("row-template");
  #view = null;
  #cells = new Map();
  #badge = stateBadge("unknown");
  #buttons = [...this.node.querySelectorAll("button.act")];

  constructor() {
    for (const cell of this.node.children) this.#cells.set(cell.dataset.column, cell);
    this.#cells.get("state").append(this.#badge);
  }

  /** `index`: its place among the rows, the header being the first for those who count. */
  show(view, index) {
    this.node.setAttribute("aria-rowindex", index + 2);
    this.#flash(view);
    this.#view = view;
    this.node.dataset.name = view.name;
    this.node.dataset.state = view.state;
    this.#showName(view);
    showState(this.#badge, view.state);
    showTime(this.#time("since"), view.since);
    this.#showWhy(view);
    this.#showQueue(view);
    showTime(this.#time("last_check"), view.last_check);
    showTime(this.#time("next_action"), view.next_action_at, true);
    showServerActions(this.#buttons, view.name, view.state);
  }

  /** A change of state while one looks on lights up for a moment. */
  #flash(view) {
    if (!this.#view || this.#view.name !== view.name || this.#view.state === view.state) return;
    this.node.classList.add("changed");
    setTimeout(() => this.node.classList.remove("changed"), CHANGED_MS);
  }

  #time(column) {
    return this.#cells.get(column).firstElementChild;
  }

  #showName(view) {
    const link = this.#cells.get("server").firstElementChild;
    setText(link, view.name);
    link.href = serverHash(view.name);
    link.title = view.name;
  }

  #showWhy(view) {
    const [reason, message, progress] = this.#cells.get("why").children;
    setText(reason, reasonText(view.reason));
    setText(message, view.message);
    message.title = view.message;
    message.hidden = view.progress !== null;
    progress.hidden = view.progress === null;
    if (view.progress === null) return;
    const [bar, words] = progress.children;
    bar.ariaLabel = label("progress");
    bar.value = view.progress;
    setText(words, percent(view.progress));
  }

  #showQueue(view) {
    const cell = this.#cells.get("queue");
    cell.dataset.label = label("queue");
    setText(cell, number(view.queue_remaining));
    cell.classList.toggle("busy", view.queue_remaining > 0);
  }
}
