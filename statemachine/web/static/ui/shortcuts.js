// Keyboard shortcuts of one key, and the dialog that lists them. They rest while the reader types or answers a dialog.

import { byId } from "./dom.js";

const FIELDS = "input, select, textarea, [contenteditable]";
/** What an input method for Chinese types with the same keys. */
const WIDE = { "？": "?", "／": "/" };
const dialog = byId("shortcuts-dialog");

/** Call `act()` when the key is pressed. */
export function onShortcut(key, act) {
  document.addEventListener("keydown", (event) => {
    if ((WIDE[event.key] ?? event.key) !== key || rests(event)) return;
    event.preventDefault();
    act();
  });
}

function rests(event) {
  const isOther = event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat;
  return isOther || event.target.closest?.(FIELDS) || document.querySelector(".dialog[open]");
}

export function watchShortcuts() {
  onShortcut("?", () => dialog.showModal());
  byId("shortcuts").addEventListener("click", () => dialog.showModal());
}
