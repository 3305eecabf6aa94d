// The buttons of the rolling restart. Each asks before it acts.

import { askToken, confirmAction } from "../actions/dialogs.js";
import { postAction } from "../state/api.js";
import { byId } from "../ui/dom.js";
import { errorText, label } from "../ui/i18n.js";
import { showToast } from "../ui/toasts.js";

const TARGET = "api/rollout";
const BUTTONS = { pause: "pause", resume: "resume", cancel: "rollout_cancel" };

/** Handle clicks. `current()` returns the run; `onDone()` is called after an action. */
export function watchButtons(current, onDone) {
  for (const [action, key] of Object.entries(BUTTONS)) {
    const button = byId(`rollout-${action}`);
    button.addEventListener("click", () => button.ariaBusy === "true" || ask(button, action, key, current(), onDone));
  }
}

async function ask(button, action, key, run, onDone) {
  const what = label("rollout_act", { action: label(key), group: run.group });
  if (!(await confirmAction(what, label(`confirm_rollout_${action}`)))) return;
  button.ariaBusy = "true";
  try {
    const { ok, error } = await postAction(TARGET, action, askToken);
    if (ok) showToast(label("requested", { what }), "good", { about: TARGET });
    else if (error) showToast(label("refused", { what, message: errorText(error) }), "bad", { about: TARGET });
  } catch {
    showToast(label("no_answer"), "bad");
  } finally {
    button.ariaBusy = "false";
  }
  onDone();
}
