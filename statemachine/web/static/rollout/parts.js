// The parts of the rolling restart's section: a bar of stages, sentences, and the servers.

import { serverHash } from "../ui/address.js";
import { make } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { joinList, label, stateText } from "../ui/i18n.js";
import { setRelativeTime } from "../ui/time.js";
import { rolloutReason, stageText } from "./texts.js";

const STAGES = ["done", "failed", "skipped", "restarting", "waiting"];
/** The servers that matter most come first. */
const ORDER = ["restarting", "failed", "waiting", "skipped", "done"];
/** How many servers are shown. */
export const MOST = 60;

export const total = (run) => STAGES.reduce((sum, stage) => sum + run.counts[stage], 0);

/** Return a bar with a segment for each stage that has servers. */
export function stageBar(run) {
  const bar = make("div", "bar", ...STAGES.filter((stage) => run.counts[stage] > 0).map((stage) => segment(run, stage)));
  bar.ariaHidden = "true";
  return bar;
}

function segment(run, stage) {
  const part = make("span");
  part.dataset.stage = stage;
  part.style.flexGrow = String(run.counts[stage]);
  return part;
}

/** Return the sentences about the run. */
export function facts(run) {
  const counted = STAGES.filter((stage) => run.counts[stage] > 0);
  const counts = counted.map((stage) => `${stageText(stage)} ${formatNumber(run.counts[stage])}`);
  const why = run.reason === null ? null : make("p", "rollout-why", rolloutReason(run.reason));
  const isEnding = run.ended_at === null && !["running", "paused"].includes(run.state);
  const ending = isEnding ? make("p", "rollout-terms", label("rollout_ending", { servers: underWay(run) })) : null;
  const left = run.left > 0 ? make("p", "rollout-terms", label("rollout_left", { count: formatNumber(run.left) })) : null;
  return [make("p", "rollout-counts", joinList(counts)), why, ending, left, make("p", "rollout-terms", ...terms(run))].filter(Boolean);
}

function underWay(run) {
  return joinList(run.servers.filter(({ stage }) => stage === "restarting").map(({ server }) => server));
}

function terms(run) {
  const limits = { limit: formatNumber(run.max_unavailable), failures: formatNumber(run.abort_after) };
  const said = [
    label("rollout_limits", limits),
    run.by && label("rollout_by", { by: run.by }),
    run.changed_by && label("rollout_changed_by", { by: run.changed_by }),
  ];
  const started = moment("rollout_started", run.started_at);
  const changed = run.changed_at ? moment("rollout_changed", run.changed_at) : [];
  const ended = run.ended_at === null ? [] : moment("rollout_ended", run.ended_at);
  return [said.filter(Boolean).join(" · "), ...started, ...changed, ...ended];
}

function moment(key, at) {
  const time = make("time", "");
  setRelativeTime(time, at);
  return [` · ${label(key)} `, time];
}

/** Return an item for each of the servers that matter most. */
export function serverList(run) {
  const servers = [...run.servers].sort((one, other) => ORDER.indexOf(one.stage) - ORDER.indexOf(other.stage));
  const items = servers.slice(0, MOST).map(serverItem);
  const more = total(run) - items.length;
  return more > 0 ? [...items, make("li", "unit", label("rollout_more", { count: formatNumber(more) }))] : items;
}

function serverItem({ server, stage, reason, state, since }) {
  const link = state === null ? make("span", "", server) : Object.assign(make("a", "", server), { href: serverHash(server) });
  const time = since === null ? null : make("time", "");
  if (time) setRelativeTime(time, since);
  const isUnderWay = stage === "restarting" && state !== null;
  const why = reason === null ? null : make("span", "unit", rolloutReason(reason));
  const item = make("li", "", link, make("span", "stage", isUnderWay ? stateText(state) : stageText(stage)), time, why);
  item.dataset.stage = stage;
  return item;
}
