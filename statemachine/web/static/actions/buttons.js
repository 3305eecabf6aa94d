// The action buttons of a server or a group.

import { setText } from "../ui/dom.js";
import { label } from "../ui/i18n.js";

const RESUMABLE = new Set(["paused", "draining"]);
const IN_RESTART = new Set(["draining", "restarting"]);
const AFTER_RESTART = new Set(["check", "warm", "restart"]);

/** Whether a server in this state can be restarted: it is not paused, and no restart is under way. */
export const canRestart = (state) => state !== "paused" && !IN_RESTART.has(state);

/** Whether the action has found the server in a restart, after which it is checked and warmed anyway. */
export const isWhileRestarting = (action, state) => AFTER_RESTART.has(action) && IN_RESTART.has(state);

/** Point the buttons at a server. The third pauses; it resumes a paused server, and one that is to be restarted. */
export function updateServerButtons(buttons, server, state) {
  buttons[2].dataset.action = RESUMABLE.has(state) ? "resume" : "pause";
  for (const button of buttons) {
    button.dataset.server = server;
    updateButton(button, label("act_on", { action: label(button.dataset.action), server }));
  }
}

export function updateGroupButtons(buttons, group) {
  for (const button of buttons) {
    button.dataset.group = group;
    updateButton(button, label("act_on_group", { action: label(button.dataset.action), group }));
  }
}

function updateButton(button, ariaLabel) {
  const { action } = button.dataset;
  const use = button.querySelector("use");
  if (use.getAttribute("href") !== `#shape-${action}`) use.setAttribute("href", `#shape-${action}`);
  const text = button.querySelector("span");
  if (text) setText(text, label(action));
  else button.title = label(action);
  if (button.ariaLabel !== ariaLabel) button.ariaLabel = ariaLabel;
}
