// A server's states over time: as a strip, and as the list of its transitions with their evidence.

import { absoluteTime, clockTime } from "../ui/time.js";
import { make, makeSvg } from "../ui/dom.js";
import { duration } from "../ui/format.js";
import { change } from "../log/entry.js";
import { label, reasonText, stateText, witnessText } from "../ui/i18n.js";

const WIDTH = 1000;
const HEIGHT = 26;
const LEAST_ICON = 60;
const ICON = 14;
const LONGEST_MS = 24 * 3600 * 1000;

/** The states between the oldest of `entries` (newest first), at most a day ago, and `now` (ms). */
export function strip(entries, now) {
  const spans = spansOf(entries, now);
  if (spans.length === 0) return [make("p", "none", label("none"))];
  const begin = spans[0].from;
  const toX = (at) => ((at - begin) / Math.max(1, now - begin)) * WIDTH;
  const drawing = makeSvg("svg", {
    class: "strip", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    "aria-label": stripWords(spans, now),
  });
  for (const span of spans) drawing.append(segment(span, toX));
  const icons = make("span", "strip-icons");
  icons.setAttribute("aria-hidden", "true");
  icons.append(...spans.flatMap((span) => icon(span, toX)));
  const [start, end] = [begin, now].map((at) => make("span", "", clockTime(at)));
  const axis = make("p", "axis", start, make("span", "", duration((now - begin) / 1000)), end);
  axis.setAttribute("aria-hidden", "true");
  return [make("div", "strip-frame", drawing, icons), axis];
}

function spansOf(entries, now) {
  const from = now - LONGEST_MS;
  const spans = [];
  let until = now;
  for (const entry of entries) {
    if (!entry.to) continue;
    const at = Date.parse(entry.at);
    spans.unshift({ state: entry.to, from: Math.max(at, from), until, reason: entry.reason });
    if (at <= from) break;
    until = at;
  }
  return spans;
}

function segment({ state, from, until, reason }, toX) {
  const words = `${stateText(state)} · ${clockTime(from)}–${clockTime(until)} · ${reasonText(reason)}`;
  const title = makeSvg("title", {});
  title.textContent = words;
  const width = Math.max(1.5, toX(until) - toX(from) - 1);
  return makeSvg("rect", { "data-state": state, x: toX(from), y: 0, width, height: HEIGHT }, title);
}

/** A state is told by its shape as well, where there is room for it. */
function icon({ state, from, until }, toX) {
  if (toX(until) - toX(from) < LEAST_ICON) return [];
  const shape = makeSvg("svg", { class: "shape", width: ICON, height: ICON }, makeSvg("use", { href: `#shape-${state}` }));
  shape.style.left = `${(toX(from) + toX(until)) / 2 / (WIDTH / 100)}%`;
  return [shape];
}

function stripWords(spans, now) {
  const lasted = new Map();
  for (const { state, from, until } of spans) lasted.set(state, (lasted.get(state) ?? 0) + (until - from));
  const parts = [...lasted].map(([state, ms]) => `${stateText(state)} ${duration(ms / 1000)}`);
  return label("timeline_says", { start: absoluteTime(spans[0].from), end: absoluteTime(now), states: parts.join(", ") });
}

/** One transition with what proves it. */
export function evidence(entry) {
  const time = make("time", "", clockTime(entry.at));
  time.dateTime = entry.at;
  time.title = absoluteTime(entry.at);
  const proved = entry.proved_by && make("span", "proof", label("proved_by", { witness: witnessText(entry.proved_by) }));
  const prompt = entry.prompt_id && make("code", "prompt", entry.prompt_id);
  const facts = proved || prompt ? make("p", "facts", proved, prompt) : null;
  const item = make(
    "li",
    "",
    make("p", "evidence-head", time, make("span", "change", ...change(entry))),
    make("p", "words", make("b", "", reasonText(entry.reason)), " ", make("span", "message", entry.message)),
    facts,
  );
  if (entry.id !== null) item.dataset.id = entry.id;
  return item;
}
