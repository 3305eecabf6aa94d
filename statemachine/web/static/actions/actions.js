// Runs the actions of the buttons on servers and groups.

import { groupTarget, postAction, serverTarget } from "../state/api.js";
import { formatNumber } from "../ui/format.js";
import { errorText, label } from "../ui/i18n.js";
import { askToken, confirmAction, showToast } from "./dialogs.js";

const NEEDS_CONFIRMATION = new Set(["warm", "pause"]);

/** Handle clicks on action buttons. `groupSize(group)` returns the number of its servers. */
export function watchActions(groupSize) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.act");
    if (!button || button.ariaBusy === "true") return;
    const { action, server, group } = button.dataset;
    if (server !== undefined) await run(button, serverTarget(server), action, actionText("act_on", action, { server }));
    else if (await isConfirmed(action, group, groupSize)) {
      await run(button, groupTarget(group), action, actionText("act_on_group", action, { group }));
    }
  });
}

const actionText = (key, action, values) => label(key, { action: label(action), ...values });

async function isConfirmed(action, group, groupSize) {
  if (!NEEDS_CONFIRMATION.has(action)) return true;
  const servers = formatNumber(groupSize(group));
  return confirmAction(actionText("confirm_title", action, { group }), label(`confirm_${action}`, { servers }));
}

async function run(button, target, action, what) {
  button.ariaBusy = "true";
  try {
    const result = await postAction(target, action, askToken);
    if (result.ok) showToast(requestedText(what, result.servers), "good");
    else if (result.error) showToast(label("refused", { what, message: errorText(result.error) }), "bad");
  } catch {
    showToast(label("no_answer"), "bad");
  } finally {
    button.ariaBusy = "false";
  }
}

function requestedText(what, servers) {
  if (servers === undefined) return label("requested", { what });
  return label("requested_for", { what, servers: formatNumber(servers) });
}
