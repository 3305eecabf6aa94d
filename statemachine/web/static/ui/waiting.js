// What a server waits for, and until when.

import { make, setText } from "./dom.js";
import { label, messageText } from "./i18n.js";
import { formatClock, setRelativeTime } from "./time.js";

/** Show what the server waits for in an element, and the time of the next action, which follows the clock. */
export function setWaiting(node, view) {
  if (node.children.length === 0) node.append(make("span", ""), " ", make("time", ""));
  const [what, at] = node.children;
  setText(what, messageText(view, "waiting_for") ?? "");
  if (view.next_action_at_most) showLatest(at, view.next_action_at);
  else setRelativeTime(at, view.next_action_at, true);
  at.hidden = !view.next_action_at;
  node.title = node.textContent;
}

/** Show the latest time as a time of day, which no clock changes. */
function showLatest(node, at) {
  node.dateTime = at;
  node.toggleAttribute("data-relative", false);
  node.toggleAttribute("data-future", false);
  setText(node, label("at_most_until", { time: formatClock(at) }));
}
