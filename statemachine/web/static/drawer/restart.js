// The latest restart of a server: why, how far it is, and how it ended.

import { make } from "../ui/dom.js";
import { label, messageText, reasonText } from "../ui/i18n.js";
import { factList, time } from "./facts.js";

export function restartFacts(restart) {
  return [
    factList([
      ["restart_stage", label(`restart_stage_${restart.stage}`)],
      ["restart_cause", label(`restart_cause_${restart.cause}`)],
      ["restart_by", restart.by],
      ["restart_requested", time(restart.requested_at)],
      ["restart_hook_started", restart.hook_started_at && time(restart.hook_started_at)],
      ["restart_returned", restart.returned_at && time(restart.returned_at)],
      ["restart_ended", restart.ended_at && time(restart.ended_at)],
      ["restart_end", restart.reason && end(restart)],
    ]),
  ];
}

const end = (restart) =>
  make("span", "", reasonText(restart.reason), " ", make("span", "message", messageText(restart) ?? ""));
