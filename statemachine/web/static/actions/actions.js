// Runs the actions of the buttons on servers and groups.

import { groupTarget, postAction, serverTarget } from "../state/api.js";
import { formatNumber } from "../ui/format.js";
import { errorText, label } from "../ui/i18n.js";
import { showToast } from "../ui/toasts.js";
import { isWhileRestarting } from "./buttons.js";
import { askPause, askToken, confirmAction } from "./dialogs.js";
import { undoOf } from "./undo.js";

/** Handle clicks on action buttons. `viewsOf({server, group})`: the current views of a button's servers. */
export function watchActions(viewsOf) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.act");
    if (!button || button.ariaBusy === "true") return;
    const request = { action: button.dataset.action, target: targetOf(button.dataset) };
    const views = viewsOf(button.dataset);
    const terms = await termsOf(request, views.length);
    if (terms !== null) await run(button, { ...request, terms, undo: undoOf(request.action, views) });
  });
}

function targetOf({ server, group }) {
  if (server !== undefined) return { server, url: serverTarget(server), text: (action) => label("act_on", { action, server }) };
  const text = (action) => label("act_on_group", { action, group });
  return { url: groupTarget(group), text, question: (action) => label("confirm_title", { action, group }) };
}

/** Return the body of the request, {} if it has none; null if the reader cancels. A pause, a restart and a group are asked about. */
async function termsOf({ action, target }, count) {
  const isGroup = target.question !== undefined;
  const title = (target.question ?? target.text)(label(action));
  const servers = formatNumber(count);
  if (action === "restart") return askRestart(target);
  if (action === "pause") return askPause(title, isGroup ? label("confirm_pause", { servers }) : label("pause_hint"));
  if (action !== "warm" || !isGroup) return {};
  return (await confirmAction(title, label("confirm_warm", { servers }))) ? {} : null;
}

async function askRestart({ server }) {
  const title = label("confirm_restart_title", { server });
  return (await confirmAction(title, label("confirm_restart"))) ? {} : null;
}

/** Post the request. `undo`: {action, terms} of the one that takes it back, or null. */
async function run(button, { action, target, terms, undo }) {
  const what = target.text(label(action));
  button.ariaBusy = "true";
  try {
    const result = await postAction(target.url, action, askToken, Object.keys(terms).length > 0 ? terms : null);
    const options = { about: target.url, undo: result.ok && undo && (() => takeBack(button, target, undo)) };
    if (result.ok) showToast(requestedText(what, action, result), "good", options);
    else if (result.error) showToast(label("refused", { what, message: errorText(result.error) }), "bad", options);
  } catch {
    showToast(label("no_answer"), "bad");
  } finally {
    button.ariaBusy = "false";
  }
}

function takeBack(button, target, undo) {
  button.focus({ preventScroll: true }); // the button of the message is gone
  return run(button, { ...undo, target, undo: null });
}

function requestedText(what, action, { servers, state }) {
  if (isWhileRestarting(action, state)) return label("requested_restarting", { what });
  if (servers === undefined) return label("requested", { what });
  return label("requested_for", { what, servers: formatNumber(servers) });
}
