// What is known of one server besides its past: what it is now, its warm-ups, its devices, its newest check.

import { now, showTime } from "../ui/time.js";
import { make } from "../ui/dom.js";
import { duration, gibibytes, milliseconds, number, percent } from "../ui/format.js";
import { label, outcomeText, reasonText, stateText, witnessText } from "../ui/i18n.js";

const OPEN = new Set(["recorded", "accepted"]);
const VERSIONS = ["version", "pytorch_version", "python_version", "os"];

export function nowFacts(view) {
  const link = Object.assign(make("a", "", view.url), { target: "_blank", rel: "noopener noreferrer", id: "drawer-url" });
  if (/^https?:/.test(view.url)) link.href = view.url;
  return [
    make("p", "words", make("b", "", reasonText(view.reason)), " ", make("span", "message", view.message)),
    progress(view),
    facts([
      ["missing", view.missing.length > 0 && chips(view.missing)],
      ["queue", view.queue_remaining !== null && number(view.queue_remaining)],
      ["last_check", view.last_check && time(view.last_check)],
      ["next_action", view.next_action_at && time(view.next_action_at, true)],
      ["prompt", view.prompt_id && make("code", "prompt", view.prompt_id)],
      ["group", view.group],
      ["url", link],
    ]),
  ];
}

function progress({ progress: share }) {
  if (share === null) return null;
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: share, ariaLabel: label("progress") });
  return make("p", "progress", bar, " ", make("span", "percent", percent(share)));
}

const chips = (keys) => make("ul", "chips", ...keys.map((key) => make("li", "", key)));

function time(at, future = false) {
  const node = document.createElement("time");
  showTime(node, at, future);
  return node;
}

/** [label's key, what is known of it or nothing]; what is not known is left out. */
function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return make("dl", "fact-list", ...known.flatMap(([key, value]) => [make("dt", "", label(key)), make("dd", "", value)]));
}

export function attemptItems(attempts) {
  if (attempts.length === 0) return [make("p", "none", label("none"))];
  return [make("ul", "attempts", ...attempts.map(attemptItem))];
}

function attemptItem(attempt) {
  const outcome = make("span", `outcome ${attempt.outcome}`, outcomeText(attempt.outcome));
  const details = [
    tookWords(attempt),
    attempt.confirmed_by && label("confirmed_by", { witness: witnessText(attempt.confirmed_by) }),
    attempt.varied_tag && label("varied_tag"),
  ].filter(Boolean);
  return make(
    "li",
    "",
    make("p", "attempt-head", outcome, make("b", "", attempt.workflow), time(attempt.created_at)),
    make("p", "facts", details.join(" · ")),
    attempt.message ? make("p", "message", attempt.message) : null,
    make("p", "facts", make("code", "prompt", attempt.prompt_id)),
  );
}

function tookWords({ outcome, created_at: begin, accepted_at: accepted, ended_at: end }) {
  const seconds = ((end ? Date.parse(end) : now()) - Date.parse(accepted ?? begin)) / 1000;
  if (end) return label("took", { duration: duration(seconds) });
  return OPEN.has(outcome) ? label("running_for", { duration: duration(Math.max(0, seconds)) }) : "";
}

export function serverFacts({ server, link }) {
  const since = link.since ? time(link.since) : "";
  const state = make("span", "", label(link.connected ? "link_up" : "link_down"), " ", since);
  const connects = make("span", "unit", label("connects", { count: number(link.connects) }));
  const about = [
    ...VERSIONS.map((key) => [key, server[key]]),
    ["link", make("span", "", state, " · ", connects)],
    ["trouble", link.trouble],
  ];
  return [...(server.devices ?? []).map(device), facts(about)];
}

function device({ name, vram_total: all, vram_free: free }) {
  const node = make("div", "device", make("p", "device-name", name ?? ""));
  if (typeof all !== "number" || typeof free !== "number" || all <= 0) return node;
  const words = label("memory_used", { used: gibibytes(all - free), total: gibibytes(all) });
  const bar = Object.assign(document.createElement("meter"), { max: all, value: all - free, ariaLabel: words });
  node.append(bar, make("span", "unit", words));
  return node;
}

export function checkFacts({ check }) {
  if (check.at === null && check.raw === null) return [make("p", "none", label("none"))];
  const known = facts([
    ["kind", check.kind],
    ["asked", check.at && time(check.at)],
    ["answered_in", check.ms !== null && milliseconds(check.ms)],
  ]);
  if (check.raw === null) return [known];
  const raw = Object.assign(make("pre", "", check.raw), { id: "drawer-raw", tabIndex: 0, ariaLabel: label("raw") });
  raw.setAttribute("role", "group");
  return [known, raw];
}

const COUNTERS = {
  checks: "counter_checks",
  checks_unanswered: "counter_checks_unanswered",
  submissions: "counter_submissions",
  ends_unheard: "counter_ends_unheard",
};

/** `to_…` counts how often a state was reached. */
function counterText(name) {
  if (name in COUNTERS) return label(COUNTERS[name]);
  return name.startsWith("to_") ? `→ ${stateText(name.slice(3))}` : name;
}

export function counterFacts({ counters }) {
  const entries = Object.entries(counters);
  if (entries.length === 0) return [make("p", "none", label("none"))];
  const pairs = entries.flatMap(([name, count]) => [make("dt", "", counterText(name)), make("dd", "", number(count))]);
  return [make("dl", "fact-list counters", ...pairs)];
}
