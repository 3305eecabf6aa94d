// Figures as people read them, in the language that is spoken.

import { locale } from "./i18n.js";

const made = new Map();

/** A formatter of the browser for the page's language, made once. `kind`: Intl.NumberFormat or the like. */
export function intl(kind, options) {
  const key = `${kind.name} ${locale()} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new kind(locale(), options));
  return made.get(key);
}

const NOTHING = "–";
const GIB = 2 ** 30;
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

const format = (options) => intl(Intl.NumberFormat, options);
export const number = (value) => (value === null || value === undefined ? NOTHING : format({}).format(value));

/** A share of 1; what is nearly all is never rounded to all. */
export function percent(share) {
  if (share === null || share === undefined) return NOTHING;
  const whole = format({ style: "percent", maximumFractionDigits: 1, roundingMode: "floor" });
  return whole.format(share);
}

/** "4.2 s", "3m 20s", "5h 12m": the two largest units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 10) return amount(seconds, "second", 1);
  const first = UNITS.findIndex(([, length]) => seconds >= length);
  const [unit, length] = UNITS[first];
  const [smaller, smallerLength] = UNITS[first + 1] ?? [];
  const rest = smaller ? Math.floor((seconds % length) / smallerLength) : 0;
  const parts = [amount(Math.floor(seconds / length), unit, 0)];
  if (rest) parts.push(amount(rest, smaller, 0));
  return parts.join(" ");
}

const amount = (value, unit, digits) =>
  format({ style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: digits }).format(value);

export const gibibytes = (bytes) => format({ maximumFractionDigits: 1 }).format(bytes / GIB);

export function milliseconds(ms) {
  return ms < 1000 ? amount(ms, "millisecond", 0) : duration(ms / 1000);
}
