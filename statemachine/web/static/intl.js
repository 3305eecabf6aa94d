// Formats of the browser, in the language that is spoken. They are dear to make, so that each is made once.

import { locale } from "./texts.js";

const made = new Map();

/** `kind`: Intl.NumberFormat and its like. */
export function intl(kind, options) {
  const key = `${kind.name} ${locale()} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new kind(locale(), options));
  return made.get(key);
}
