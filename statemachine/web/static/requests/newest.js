// The newest decisions: where a request went, why, and which servers came next.

import { make } from "../ui/dom.js";
import { formatDuration } from "../ui/format.js";
import { joinList, label, messageText, whyText } from "../ui/i18n.js";
import { setRelativeTime } from "../ui/time.js";
import { serverLink } from "./servers.js";

const SHOWN = 20;

/** `decisions`: the newest first. */
export function newestDecisions(decisions) {
  const list = make("ol", "decisions", ...decisions.slice(0, SHOWN).map(decision));
  Object.assign(list, { tabIndex: 0, ariaLabel: label("newest_decisions") });
  return [make("p", "caption", label("newest_decisions")), list];
}

function decision(one) {
  const time = make("time", "");
  setRelativeTime(time, one.at);
  const head = make("p", "decision-head", time, serverLink(one.server), make("span", "unit", label(`source_${one.source}`)));
  return make("li", "", head, make("p", "decision-why", why(one)), ...others(one.others));
}

function why({ reason, expected_wait_s: wait, missing }) {
  const parts = [whyText(reason)];
  if (wait !== null) parts.push(label("expected_wait", { duration: formatDuration(wait) }));
  if (missing.length > 0) parts.push(label("models_missing", { models: joinList(missing) }));
  return parts.join(" · ");
}

function others(servers) {
  if (servers.length === 0) return [];
  const items = servers.map(({ server, prospect, expected_wait_s: wait }) =>
    make("li", "", serverLink(server), ` ${formatDuration(wait)} · ${prospectText(prospect)}`),
  );
  return [make("p", "unit", label("runners_up")), make("ul", "runners-up", ...items)];
}

const prospectText = (prospect) => messageText({ message: prospect, message_code: `route.${prospect}` });
