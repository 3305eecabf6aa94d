// One entry of the log.

import { absoluteTime, clockTime } from "../ui/time.js";
import { copyOf, make, serverHash, setText, stateBadge } from "../ui/dom.js";
import { label, reasonText } from "../ui/i18n.js";

export class LogLine {
  node = copyOf("entry-template");

  show(entry) {
    const { node } = this;
    if (entry.id !== null) node.dataset.id = entry.id;
    const time = node.querySelector("time");
    time.setAttribute("datetime", entry.at);
    time.title = absoluteTime(entry.at);
    setText(time, clockTime(entry.at));
    const server = node.querySelector(".entry-server");
    setText(server, entry.server ?? label("notice"));
    if (entry.server) server.href = serverHash(entry.server);
    node.querySelector(".change").replaceChildren(...change(entry));
    setText(node.querySelector(".reason"), reasonText(entry.reason));
    setText(node.querySelector(".message"), entry.message);
    node.querySelector(".words").title = entry.message;
  }
}

/** From which state to which. */
export function change(entry) {
  if (!entry.to) return [];
  const to = stateBadge(entry.to);
  return entry.from ? [stateBadge(entry.from), make("span", "arrow", "→"), to] : [to];
}
