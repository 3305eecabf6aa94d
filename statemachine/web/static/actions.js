// The buttons of a row.

import { act } from "./api.js";
import { byId, toast } from "./elements.js";
import { label } from "./texts.js";

export function watchActions(table) {
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button.act");
    if (button) perform(button, button.closest("tr").dataset.name);
  });
}

async function perform(button, server) {
  const action = button.dataset.action;
  button.ariaBusy = "true";
  try {
    const { ok, message } = await act(server, action, askToken);
    const words = `${label(action)} ${server}: ${ok ? label("requested") : message}`;
    if (ok || message) toast(words, ok ? "good" : "bad");
  } catch {
    toast(label("no_answer"), "bad");
  } finally {
    button.ariaBusy = "false";
  }
}

/** The token that the reader types, or null. */
function askToken() {
  const dialog = byId("token-dialog");
  const field = byId("token");
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? field.value : null), { once: true });
  });
}
