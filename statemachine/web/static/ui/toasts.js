// Short messages at the bottom of the page. One that offers to undo stays longer, and while the pointer or the focus is
// on it.

import { byId, make } from "./dom.js";
import { label } from "./i18n.js";
import { onShortcut } from "./shortcuts.js";

const TOAST_MS = 6000;
const UNDO_MS = 20000;
export const UNDO_KEY = "u";
const toasts = byId("toasts");

/**
 * Show a message. `kind`: "good" or "bad". `undo()`: takes back what it reports, if that is possible. `about`: what the
 * message is about; it replaces the one before about the same.
 */
export function showToast(text, kind, { undo = null, about = "" } = {}) {
  place();
  if (about) for (const toast of toasts.querySelectorAll(".toast")) if (toast.dataset.about === about) toast.remove();
  const toast = make("div", `toast ${kind}`, make("span", "", text));
  toast.dataset.about = about;
  if (undo) toast.append(undoButton(toast, undo));
  toasts.append(toast);
  removeLater(toast, undo ? UNDO_MS : TOAST_MS);
}

export function watchToasts() {
  document.addEventListener("close", place, true);
  onShortcut(UNDO_KEY, () => [...toasts.querySelectorAll(".undo")].at(-1)?.click());
}

/** Keep the messages within a modal dialog: what is outside of it is behind it, and cannot be used. */
function place() {
  const host = document.querySelector("dialog:modal") ?? document.body;
  if (toasts.parentNode !== host) host.append(toasts);
}

function undoButton(toast, undo) {
  const button = make("button", "undo", label("undo"));
  Object.assign(button, { type: "button", ariaKeyShortcuts: UNDO_KEY });
  button.addEventListener("click", () => {
    toast.remove();
    undo();
  });
  return button;
}

function removeLater(toast, ms) {
  let timer = 0;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(() => toast.remove(), ms);
  };
  for (const event of ["pointerenter", "focusin"]) toast.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) toast.addEventListener(event, start);
  start();
}
