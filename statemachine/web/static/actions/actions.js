// Runs the actions of the buttons on servers and groups.

import { groupTarget, postAction, serverTarget } from "../state/api.js";
import { formatNumber } from "../ui/format.js";
import { errorText, label } from "../ui/i18n.js";
import { askPause, askToken, confirmAction, showToast } from "./dialogs.js";

/** Handle clicks on action buttons. `groupSize(group)` returns the number of its servers. */
export function watchActions(groupSize) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.act");
    if (!button || button.ariaBusy === "true") return;
    const { action, server, group } = button.dataset;
    const what = server === undefined ? actionText("act_on_group", action, { group }) : actionText("act_on", action, { server });
    const body = await termsOf(action, what, server, group, groupSize);
    if (body === null) return;
    await run(button, server === undefined ? groupTarget(group) : serverTarget(server), action, what, body);
  });
}

const actionText = (key, action, values) => label(key, { action: label(action), ...values });

/** Return the body of the request, empty if it has none; null if the reader cancels. A pause, and a group, is asked about. */
async function termsOf(action, what, server, group, groupSize) {
  const servers = server === undefined ? formatNumber(groupSize(group)) : null;
  const title = server === undefined ? actionText("confirm_title", action, { group }) : what;
  if (action === "pause") return askPause(title, servers === null ? label("pause_hint") : label("confirm_pause", { servers }));
  if (action !== "warm" || servers === null) return {};
  return (await confirmAction(title, label("confirm_warm", { servers }))) ? {} : null;
}

async function run(button, target, action, what, body) {
  button.ariaBusy = "true";
  try {
    const result = await postAction(target, action, askToken, Object.keys(body).length > 0 ? body : null);
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
