// The small buttons that ask for an action, of a server or of a group.

import { setText } from "../ui/dom.js";
import { label } from "../ui/i18n.js";

/** Name the buttons for what they act on, and turn the third into "resume" while the server is paused. */
export function showServerActions(buttons, server, state) {
  buttons[2].dataset.action = state === "paused" ? "resume" : "pause";
  for (const button of buttons) {
    button.dataset.server = server;
    showIcon(button, label("act_on", { action: label(button.dataset.action), server }));
  }
}

export function showGroupActions(buttons, group) {
  for (const button of buttons) {
    button.dataset.group = group;
    showIcon(button, label("act_on_group", { action: label(button.dataset.action), group }));
  }
}

function showIcon(button, name) {
  const { action } = button.dataset;
  const use = button.querySelector("use");
  if (use.getAttribute("href") !== `#shape-${action}`) use.setAttribute("href", `#shape-${action}`);
  const words = button.querySelector("span");
  if (words) setText(words, label(action));
  else button.title = label(action);
  if (button.ariaLabel !== name) button.ariaLabel = name;
}
