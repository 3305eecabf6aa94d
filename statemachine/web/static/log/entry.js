// One entry of the event log.

import { serverHash } from "../ui/address.js";
import { cloneTemplate, make, setName, setText, stateBadge } from "../ui/dom.js";
import { label, messageText, reasonText } from "../ui/i18n.js";
import { formatDateTime, formatTime } from "../ui/time.js";

export class LogEntry {
  node = cloneTemplate("entry-template");

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
  }
}

/** Render the states before and after an entry; a notice has none. */
export function stateChange(entry) {
  if (!entry.to) return [];
  const to = stateBadge(entry.to);
  return entry.from ? [stateBadge(entry.from), make("span", "arrow", "→"), to] : [to];
}
