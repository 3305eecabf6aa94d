// The buttons of the rolling restart. Each asks before it acts.

import { askRollout, askToken, confirmAction } from "../actions/dialogs.js";
import { groupTarget, postAction } from "../state/api.js";
import { byId } from "../ui/dom.js";
import { errorText, label } from "../ui/i18n.js";
import { showToast } from "../ui/toasts.js";

const TARGET = "api/rollout";
const BUTTONS = { pause: "pause", resume: "resume", cancel: "rollout_cancel" };

/** Handle clicks. `current()` returns the run, `groups()` those that can be restarted; `onDone()` follows an action. */
export function watchButtons({ current, groups, onDone }) {
  watch("start", () => askStart(groups()), onDone);
  for (const [action, key] of Object.entries(BUTTONS)) watch(action, () => askChange(action, key, current()), onDone);
}

/** `ask()` returns the request, or null if the reader cancels. */
function watch(name, ask, onDone) {
  const button = byId(`rollout-${name}`);
  button.addEventListener("click", async () => {
    if (button.ariaBusy === "true") return;
    const request = await ask();
    if (request === null) return;
    await run(button, request);
    await onDone();
    if (button.hidden && document.activeElement === document.body) byId("rollout-list").focus();
  });
}

async function askStart(groups) {
  const asked = await askRollout(groups);
  if (asked === null) return null;
  const { group, terms } = asked;
  const what = label("rollout_act", { action: label("restart"), group });
  return { target: groupTarget(group), action: "restart", terms, what };
}

async function askChange(action, key, { id, group }) {
  const what = label("rollout_act", { action: label(key), group });
  return (await confirmAction(what, label(`confirm_rollout_${action}`))) ? { target: TARGET, action, terms: { run: id }, what } : null;
}

async function run(button, { target, action, terms = null, what }) {
  button.ariaBusy = "true";
  try {
    const { ok, error } = await postAction(target, action, askToken, terms);
    if (ok) showToast(label("requested", { what }), "good", { about: TARGET });
    else if (error) showToast(label("refused", { what, message: errorText(error) }), "bad", { about: TARGET });
  } catch {
    showToast(label("no_answer"), "bad");
  } finally {
    button.ariaBusy = "false";
  }
}
