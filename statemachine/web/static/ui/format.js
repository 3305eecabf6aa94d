// Numbers and durations in the reader's language.

import { locale } from "./i18n.js";

const NO_VALUE = "–";
const GIB = 2 ** 30;
/** Units of time with their length in seconds, longest first. */
export const TIME_UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

const formatters = new Map();

/** Return an Intl formatter for the reader's language. They are expensive to create, so each is cached. */
export function formatter(Format, options) {
  const key = `${Format.name} ${locale()} ${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Format(locale(), options));
  return formatters.get(key);
}

const numberFormat = (options) => formatter(Intl.NumberFormat, options);
const isMissing = (value) => value === null || value === undefined;

export const formatNumber = (value) => (isMissing(value) ? NO_VALUE : numberFormat({}).format(value));

/** Format a share between 0 and 1, rounded down: 99.99 % must not become 100 %. */
export function formatPercent(share) {
  if (isMissing(share)) return NO_VALUE;
  return numberFormat({ style: "percent", maximumFractionDigits: 1, roundingMode: "floor" }).format(share);
}

/** Format seconds as "4.2s" or with the two largest units: "3m 20s", "5h 12m". */
export function formatDuration(seconds) {
  if (isMissing(seconds)) return NO_VALUE;
  if (seconds < 10) return amount(seconds, "second", 1);
  const first = TIME_UNITS.findIndex(([, length]) => seconds >= length);
  const [unit, length] = TIME_UNITS[first];
  const [smaller, smallerLength] = TIME_UNITS[first + 1] ?? [];
  const rest = smaller ? Math.floor((seconds % length) / smallerLength) : 0;
  const parts = [amount(Math.floor(seconds / length), unit, 0)];
  if (rest) parts.push(amount(rest, smaller, 0));
  return parts.join(" ");
}

const amount = (value, unit, digits) =>
  numberFormat({ style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: digits }).format(value);

export const formatGibibytes = (bytes) => numberFormat({ maximumFractionDigits: 1 }).format(bytes / GIB);

export const formatMilliseconds = (ms) => (ms < 1000 ? amount(ms, "millisecond", 0) : formatDuration(ms / 1000));
