// The buttons that ask for something: of a server in a row or in the drawer, of a group in its row.

import { act, groupTarget, serverTarget } from "../state/api.js";
import { askToken, confirmed } from "./dialogs.js";
import { toast } from "../ui/dom.js";
import { number } from "../ui/format.js";
import { label } from "../ui/i18n.js";

const CONFIRMED = new Set(["warm", "pause"]);

/** `sizeOf(group)`: how many servers it has. */
export function watchActions(sizeOf) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.act");
    if (!button || button.ariaBusy === "true") return;
    const { action, server, group } = button.dataset;
    if (server !== undefined) await perform(button, serverTarget(server), action, words("act_on", action, { server }));
    else if (await isMeant(action, group, sizeOf)) {
      await perform(button, groupTarget(group), action, words("act_on_group", action, { group }));
    }
  });
}

const words = (key, action, values) => label(key, { action: label(action), ...values });

/** What stops or burdens a whole group is asked for once more. */
async function isMeant(action, group, sizeOf) {
  if (!CONFIRMED.has(action)) return true;
  const servers = number(sizeOf(group));
  return confirmed(words("confirm_title", action, { group }), label(`confirm_${action}`, { servers }));
}

async function perform(button, target, action, what) {
  button.ariaBusy = "true";
  try {
    const answer = await act(target, action, askToken);
    if (answer.ok) toast(said(what, answer.servers), "good");
    else if (answer.message) toast(label("refused", { what, message: answer.message }), "bad");
  } catch {
    toast(label("no_answer"), "bad");
  } finally {
    button.ariaBusy = "false";
  }
}

function said(what, servers) {
  return servers === undefined ? label("requested", { what }) : label("requested_for", { what, servers: number(servers) });
}
