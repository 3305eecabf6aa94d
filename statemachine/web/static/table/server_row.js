// One server's row.

import { updateServerButtons } from "../actions/buttons.js";
import { serverHash, setOwnPage } from "../ui/address.js";
import { cloneTemplate, setBadge, setName, setText, stateBadge } from "../ui/dom.js";
import { formatNumber, formatPercent } from "../ui/format.js";
import { label, locale, messageText, reasonText } from "../ui/i18n.js";
import { setRelativeTime } from "../ui/time.js";
import { setWaiting } from "../ui/waiting.js";
import { showRowTrend } from "../warmth/trend.js";

const HIGHLIGHT_MS = 1500;

export class ServerRow {
  node = cloneTemplate("row-template");
  #view = null;
  #cells = new Map();
  #badge = stateBadge("unknown");
  #buttons = [...this.node.querySelectorAll("button.act")];
  #ownPage = this.node.querySelector(".own-page");
  #history = this.node.querySelector(".history");
  #shown = {};

  constructor() {
    for (const cell of this.node.children) this.#cells.set(cell.dataset.column, cell);
    this.#cells.get("state").prepend(this.#badge);
  }

  /** `points`: the hours of its last day, or null. `index`: its position; aria-rowindex counts the header, too. */
  show(view, points, index) {
    this.node.setAttribute("aria-rowindex", index + 2);
    this.#highlightChange(view);
    this.#view = view;
    this.node.dataset.name = view.name;
    this.node.dataset.state = view.state;
    this.#showName(view);
    setBadge(this.#badge, view.state);
    setRelativeTime(this.#timeOf("since"), view.since);
    this.#showWhy(view);
    this.#showQueue(view);
    setRelativeTime(this.#timeOf("last_check"), view.last_check);
    setRelativeTime(this.#timeOf("next_action"), view.next_action_at, true);
    this.#showOwnPage(view);
    updateServerButtons(this.#buttons, view.name, view.state);
    this.#showHistory(points);
  }

  /** Highlight the row briefly if its state has changed while it is shown. */
  #highlightChange(view) {
    if (!this.#view || this.#view.name !== view.name || this.#view.state === view.state) return;
    this.node.classList.add("changed");
    setTimeout(() => this.node.classList.remove("changed"), HIGHLIGHT_MS);
  }

  #timeOf(column) {
    return this.#cells.get(column).firstElementChild;
  }

  #showName(view) {
    const link = this.#cells.get("server").firstElementChild;
    setName(link, view.name);
    link.href = serverHash(view.name);
    link.title = view.name;
  }

  #showWhy(view) {
    const [reasonLine, message, progress] = this.#cells.get("why").children;
    const [reason, waiting] = reasonLine.children;
    const text = messageText(view);
    setText(reason, reasonText(view.reason));
    waiting.hidden = view.state === "loaded";
    setWaiting(waiting, view);
    setText(message, text);
    message.title = text;
    message.hidden = view.progress !== null;
    progress.hidden = view.progress === null;
    if (view.progress === null) return;
    const [bar, percent] = progress.children;
    bar.ariaLabel = label("progress");
    bar.value = view.progress;
    setText(percent, formatPercent(view.progress));
  }

  #showOwnPage(view) {
    setOwnPage(this.#ownPage, view.url);
    this.#ownPage.title = this.#ownPage.ariaLabel = label("own_page", { server: view.name });
  }

  #showHistory(points) {
    if (this.#shown.points === points && this.#shown.locale === locale()) return;
    this.#shown = { points, locale: locale() };
    showRowTrend(this.#history, points);
  }

  #showQueue(view) {
    const cell = this.#cells.get("queue");
    cell.dataset.label = label("queue");
    setText(cell, formatNumber(view.queue_remaining));
    cell.classList.toggle("busy", view.queue_remaining > 0);
  }
}
