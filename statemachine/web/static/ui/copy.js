// Buttons that copy a text. Over plain HTTP browsers offer no clipboard API; the text is then copied as a selection.

import { cloneTemplate, make } from "./dom.js";
import { label } from "./i18n.js";
import { showToast } from "./toasts.js";

const SHOWN_LENGTH = 60;
const texts = new WeakMap();

/** Create a button that copies `text`. `name`: key of its label. */
export function copyButton(name, text) {
  const button = cloneTemplate("copy-template");
  button.ariaLabel = button.title = label(name);
  setCopyText(button, text);
  return button;
}

export const setCopyText = (button, text) => texts.set(button, text);

export function watchCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    const text = texts.get(button);
    if (text === undefined) return;
    if (await copied(text, button)) showToast(label("copied", { text: shortened(text) }), "good");
    else showToast(label("not_copied"), "bad");
  });
}

async function copied(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedAsSelection(text, button);
  }
}

/** What is outside of a modal dialog cannot be selected, so the selection is beside the button. */
function copiedAsSelection(text, button) {
  const source = Object.assign(make("textarea", "copy-source"), { value: text, readOnly: true });
  button.after(source);
  source.select();
  const done = document.execCommand("copy");
  source.remove();
  button.focus({ preventScroll: true });
  return done;
}

const shortened = (text) => (text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text);
