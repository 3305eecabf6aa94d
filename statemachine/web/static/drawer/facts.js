// What is known about a server now: its state, its warm-ups, its devices, its last check and its counters.

import { setOwnPage } from "../ui/address.js";
import { copyButton } from "../ui/copy.js";
import { make } from "../ui/dom.js";
import { formatDuration, formatGibibytes, formatMilliseconds, formatNumber, formatPercent } from "../ui/format.js";
import { label, messageText, outcomeText, reasonText, sourceText, stateText } from "../ui/i18n.js";
import { daemonNow, setRelativeTime } from "../ui/time.js";
import { setWaiting } from "../ui/waiting.js";

const OPEN_OUTCOMES = new Set(["recorded", "accepted"]);
const LEVELS = { key: "level_key", ram: "level_ram", vram: "level_vram" };
const VERSIONS = ["version", "pytorch_version", "python_version", "os"];

export function nowFacts(view, origin) {
  return [
    make("p", "why", make("b", "", reasonText(view.reason)), " ", make("span", "message", messageText(view))),
    progressBar(view.progress),
    factList([
      ["missing", view.missing.length > 0 && chips(view.missing)],
      ["level", levelsText(view)],
      ["queue", view.queue_remaining !== null && formatNumber(view.queue_remaining)],
      ["last_check", view.last_check && time(view.last_check)],
      ["waiting_for", waiting(view)],
      ["pause_note", view.pause?.note],
      ["pause_by", view.pause?.by],
      ["prompt", view.prompt_id && promptId(view.prompt_id)],
      ["group", view.group],
      ["source", origin?.source],
      ["labels", labelsText(origin)],
      ["url", ownPage(view.url)],
    ]),
  ];
}

function labelsText(origin) {
  const known = Object.entries(origin?.labels ?? {}).map(([name, value]) => `${name}: ${value}`);
  return known.length > 0 && chips(known);
}

function waiting(view) {
  const node = make("span", "waits-for");
  setWaiting(node, view);
  return node;
}

/** Name the level of each key whose models are observed. */
function levelsText({ levels }) {
  if (levels === null || levels === undefined) return label("level_not_observed");
  const known = Object.entries(levels).map(([key, level]) => `${key}: ${label(LEVELS[level])}`);
  return known.length > 0 ? chips(known) : label("level_not_observed");
}

function ownPage(url) {
  const link = Object.assign(make("a", "", url), { id: "drawer-url" });
  setOwnPage(link, url);
  return make("span", "with-copy", link, copyButton("copy_url", url));
}

const promptId = (id) => make("span", "with-copy", make("code", "prompt", id), copyButton("copy_prompt", id));

function progressBar(share) {
  if (share === null) return null;
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: share, ariaLabel: label("progress") });
  return make("p", "progress", bar, " ", make("span", "percent", formatPercent(share)));
}

const chips = (keys) => make("ul", "chips", ...keys.map((key) => make("li", "", key)));

export function time(at, future = false) {
  const node = document.createElement("time");
  setRelativeTime(node, at, future);
  return node;
}

/** Render [label key, value] pairs; pairs without a value are skipped. */
export function factList(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  const nodes = known.flatMap(([key, value]) => [make("dt", "", label(key)), make("dd", "", value)]);
  return make("dl", "fact-list", ...nodes);
}

export function attemptItems(attempts) {
  if (attempts.length === 0) return [make("p", "none", label("none"))];
  return [make("ul", "attempts", ...attempts.map(attemptItem))];
}

function attemptItem(attempt) {
  const outcome = make("span", `outcome ${attempt.outcome}`, outcomeText(attempt.outcome));
  const message = messageText(attempt);
  const details = [
    elapsedText(attempt),
    attempt.confirmed_by && label("confirmed_by", { source: sourceText(attempt.confirmed_by) }),
    attempt.varied_tag && label("varied_tag"),
  ].filter(Boolean);
  return make(
    "li",
    "",
    make("p", "attempt-head", outcome, make("b", "", attempt.workflow), time(attempt.created_at)),
    make("p", "facts", details.join(" · ")),
    message ? make("p", "message", message) : null,
    make("p", "facts", promptId(attempt.prompt_id)),
  );
}

function elapsedText({ outcome, created_at: created, accepted_at: accepted, ended_at: ended }) {
  const seconds = ((ended ? Date.parse(ended) : daemonNow()) - Date.parse(accepted ?? created)) / 1000;
  if (ended) return label("took", { duration: formatDuration(seconds) });
  return OPEN_OUTCOMES.has(outcome) ? label("running_for", { duration: formatDuration(Math.max(0, seconds)) }) : "";
}

export function serverFacts({ server, link }) {
  const since = link.since ? time(link.since) : "";
  const state = make("span", "", label(link.connected ? "link_up" : "link_down"), " ", since);
  const connects = make("span", "unit", label("connects", { count: formatNumber(link.connects) }));
  const facts = [
    ...VERSIONS.map((key) => [key, server[key]]),
    ["link", make("span", "", state, " · ", connects)],
    ["trouble", messageText(link, "trouble")],
  ];
  return [...(server.devices ?? []).map(device), factList(facts)];
}

function device({ name, vram_total: total, vram_free: free }) {
  const node = make("div", "device", make("p", "device-name", name ?? ""));
  if (typeof total !== "number" || typeof free !== "number" || total <= 0) return node;
  const text = label("memory_used", { used: formatGibibytes(total - free), total: formatGibibytes(total) });
  const meter = Object.assign(document.createElement("meter"), { max: total, value: total - free, ariaLabel: text });
  node.append(meter, make("span", "unit", text));
  return node;
}

export function checkFacts({ check }) {
  if (check.at === null && check.raw === null) return [make("p", "none", label("none"))];
  const facts = factList([
    ["kind", check.kind],
    ["asked", check.at && time(check.at)],
    ["answered_in", check.ms !== null && formatMilliseconds(check.ms)],
  ]);
  if (check.raw === null) return [facts];
  const raw = Object.assign(make("pre", "", check.raw), { id: "drawer-raw", tabIndex: 0, ariaLabel: label("raw") });
  raw.setAttribute("role", "group");
  return [facts, make("div", "with-copy", raw, copyButton("copy_raw", check.raw))];
}

const COUNTER_LABELS = {
  checks: "counter_checks",
  checks_unanswered: "counter_checks_unanswered",
  submissions: "counter_submissions",
  ends_unheard: "counter_ends_unheard",
  ws_flood: "counter_ws_flood",
  ws_text_cut: "counter_ws_text_cut",
};

/** Name a counter; "to_STATE" counts the transitions to that state. */
function counterText(name) {
  if (name in COUNTER_LABELS) return label(COUNTER_LABELS[name]);
  return name.startsWith("to_") ? `→ ${stateText(name.slice(3))}` : name;
}

export function counterFacts({ counters }) {
  const entries = Object.entries(counters);
  if (entries.length === 0) return [make("p", "none", label("none"))];
  const pairs = entries.flatMap(([name, count]) => [
    make("dt", "", counterText(name)),
    make("dd", "", formatNumber(count)),
  ]);
  return [make("dl", "fact-list counters", ...pairs)];
}
