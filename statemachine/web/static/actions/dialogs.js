// Dialogs that ask the reader.

import { byId, make, setText } from "../ui/dom.js";
import { setLabel } from "../ui/i18n.js";

/** Ask for the access token; return null if the reader cancels. `refusal`: what is the matter with the present one. */
export async function askToken(refusal) {
  const field = byId("token");
  field.value = "";
  field.ariaInvalid = String(refusal !== "missing");
  byId("token-refusal").classList.toggle("bad", refusal !== "missing");
  setLabel(byId("token-refusal"), `token_${refusal}`);
  return (await isAccepted(byId("token-dialog"))) ? field.value.trim() : null;
}

/** Ask whether to continue. */
export function confirmAction(title, text) {
  setText(byId("confirm-title"), title);
  setText(byId("confirm-text"), text);
  return isAccepted(byId("confirm-dialog"));
}

/** Ask how long to pause, and why; return the body of the request, or null if the reader cancels. */
export async function askPause(title, text) {
  setText(byId("pause-title"), title);
  setText(byId("pause-text"), text);
  const [length, note] = [byId("pause-for"), byId("pause-note")];
  length.value = note.value = "";
  if (!(await isAccepted(byId("pause-dialog")))) return null;
  return { ...(length.value && { for: length.value }), ...(note.value.trim() && { note: note.value.trim() }) };
}

/** Ask which of the groups to restart, and how; return {group, terms}, or null if the reader cancels. */
export async function askRollout(groups) {
  const [group, limit, failures] = [byId("rollout-group"), byId("rollout-limit"), byId("rollout-failures")];
  group.replaceChildren(...groups.map((name) => Object.assign(make("option", "", name), { value: name })));
  limit.value = failures.value = "1";
  if (!(await isAccepted(byId("rollout-dialog")))) return null;
  return { group: group.value, terms: { max_unavailable: limit.valueAsNumber, abort_after: failures.valueAsNumber } };
}

function isAccepted(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}
