// Dialogs that ask the reader, and toasts that report a result.

import { byId, make, setText } from "../ui/dom.js";

const TOAST_MS = 6000;

/** Ask for the access token; return null if the reader cancels. */
export async function askToken() {
  const field = byId("token");
  field.value = "";
  return (await isAccepted(byId("token-dialog"))) ? field.value : null;
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

function isAccepted(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

/** Show a short message for a few seconds. `kind`: "good" or "bad". */
export function showToast(text, kind) {
  const toast = make("p", `toast ${kind}`, text);
  byId("toasts").append(toast);
  setTimeout(() => toast.remove(), TOAST_MS);
}
