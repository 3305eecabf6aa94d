// A server's states over the last day as a strip, and its transitions as a list.

import { entryLine, stateChange } from "../log/entry.js";
import { copyButton } from "../ui/copy.js";
import { make, makeSvg } from "../ui/dom.js";
import { formatDuration } from "../ui/format.js";
import { joinList, label, messageText, reasonText, sourceText, stateText } from "../ui/i18n.js";
import { formatDateTime, formatTime } from "../ui/time.js";

const WIDTH = 1000;
const HEIGHT = 26;
const MIN_SPAN_WIDTH = 1.5;
const ICON_SIZE = 14;
const ICON_MIN_SPAN = 60;
const MAX_MS = 24 * 3600 * 1000;

/** Draw the states from the oldest of `entries` (newest first), at most a day ago, to `now` (ms). */
export function timeline(entries, now) {
  const spans = spansOf(entries, now);
  if (spans.length === 0) return [make("p", "none", label("none"))];
  const start = spans[0].from;
  const toX = (at) => ((at - start) / Math.max(1, now - start)) * WIDTH;
  const strip = makeSvg("svg", {
    class: "strip", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    "aria-label": description(spans, now),
  });
  for (const span of spans) strip.append(segment(span, toX));
  const icons = make("span", "strip-icons", ...spans.flatMap((span) => icon(span, toX)));
  icons.setAttribute("aria-hidden", "true");
  return [make("div", "strip-frame", strip, icons), axis(start, now)];
}

/** Return the spans of time that the server spent in each state, oldest first. */
function spansOf(entries, now) {
  const from = now - MAX_MS;
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
  const title = makeSvg("title", {});
  title.textContent = `${stateText(state)} · ${formatTime(from)}–${formatTime(until)} · ${reasonText(reason)}`;
  const width = Math.max(MIN_SPAN_WIDTH, toX(until) - toX(from) - 1);
  return makeSvg("rect", { "data-state": state, x: toX(from), y: 0, width, height: HEIGHT }, title);
}

/** Show the state's icon if its span is wide enough: colour alone must not carry the meaning. */
function icon({ state, from, until }, toX) {
  if (toX(until) - toX(from) < ICON_MIN_SPAN) return [];
  const use = makeSvg("use", { href: `#shape-${state}` });
  const shape = makeSvg("svg", { class: "shape", width: ICON_SIZE, height: ICON_SIZE }, use);
  shape.style.left = `${(toX(from) + toX(until)) / 2 / (WIDTH / 100)}%`;
  return [shape];
}

function axis(start, now) {
  const [from, until] = [start, now].map((at) => make("span", "", formatTime(at)));
  const node = make("p", "axis", from, make("span", "", formatDuration((now - start) / 1000)), until);
  node.setAttribute("aria-hidden", "true");
  return node;
}

function description(spans, now) {
  const totals = new Map();
  for (const { state, from, until } of spans) totals.set(state, (totals.get(state) ?? 0) + (until - from));
  const states = [...totals].map(([state, ms]) => `${stateText(state)} ${formatDuration(ms / 1000)}`);
  const [start, end] = [spans[0].from, now].map(formatDateTime);
  return label("timeline_says", { start, end, states: joinList(states) });
}

/** Render a transition with the source that confirmed it. */
export function transitionItem(entry) {
  const time = make("time", "", formatTime(entry.at));
  time.dateTime = entry.at;
  time.title = formatDateTime(entry.at);
  const source = entry.proved_by && make("span", "", label("proved_by", { source: sourceText(entry.proved_by) }));
  const prompt = entry.prompt_id && make("code", "prompt", entry.prompt_id);
  const copy = copyButton("copy_entry", entryLine(entry));
  const item = make(
    "li",
    "",
    make("p", "transition-head", time, make("span", "change", ...stateChange(entry)), copy),
    make("p", "why", make("b", "", reasonText(entry.reason)), " ", make("span", "message", messageText(entry))),
    source || prompt ? make("p", "facts", source, prompt) : null,
  );
  if (entry.id !== null) item.dataset.id = entry.id;
  return item;
}
