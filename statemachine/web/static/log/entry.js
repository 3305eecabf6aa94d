// One entry of the event log.

import { serverHash } from "../ui/address.js";
import { copyButton, setCopyText } from "../ui/copy.js";
import { cloneTemplate, make, setName, setText, stateBadge } from "../ui/dom.js";
import { label, messageText, reasonText, sourceText, stateText } from "../ui/i18n.js";
import { formatDateTime, formatTime } from "../ui/time.js";

export class LogEntry {
  node = cloneTemplate("entry-template");
  #copy = copyButton("copy_entry", "");

  constructor() {
    this.node.append(this.#copy);
  }

  show(entry) {
    const { node } = this;
    const message = messageText(entry);
    if (entry.id !== null) node.dataset.id = entry.id;
    const time = node.querySelector("time");
    time.setAttribute("datetime", entry.at);
    time.title = formatDateTime(entry.at);
    setText(time, formatTime(entry.at));
    const server = node.querySelector(".entry-server");
    setName(server, entry.server ?? label("notice"));
    if (entry.server) server.href = serverHash(entry.server);
    node.querySelector(".change").replaceChildren(...stateChange(entry));
    setText(node.querySelector(".reason"), reasonText(entry.reason));
    setText(node.querySelector(".message"), message);
    node.querySelector(".why").title = message;
    this.#copy.ariaLabel = this.#copy.title = label("copy_entry");
    setCopyText(this.#copy, entryLine(entry));
  }
}

/** Return an entry as one line of text, with everything that the page shows of it. */
export function entryLine(entry) {
  const states = [entry.from, entry.to].filter(Boolean).map(stateText).join(" → ");
  const source = entry.proved_by && label("proved_by", { source: sourceText(entry.proved_by) });
  const parts = [entry.server, states, reasonText(entry.reason), messageText(entry), source, entry.prompt_id];
  return [entry.at, ...parts.filter(Boolean)].join(" · ");
}

/** Render the states before and after an entry; a notice has none. */
export function stateChange(entry) {
  if (!entry.to) return [];
  const to = stateBadge(entry.to);
  return entry.from ? [stateBadge(entry.from), make("span", "arrow", "→"), to] : [to];
}
