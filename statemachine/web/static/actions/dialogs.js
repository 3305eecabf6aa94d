// Questions to the reader.

import { byId, setText } from "../ui/dom.js";

/** The token that the reader types, or null. */
export async function askToken() {
  const field = byId("token");
  field.value = "";
  return (await ask(byId("token-dialog"))) ? field.value : null;
}

/** Whether the reader goes on. */
export function confirmed(title, words) {
  setText(byId("confirm-title"), title);
  setText(byId("confirm-words"), words);
  return ask(byId("confirm-dialog"));
}

function ask(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}
