// Which states are trouble, and which are worse.

/** From healthy to failed, so that a descending sort starts with what needs attention. */
const BY_SEVERITY = [
  "paused", "loaded", "auto_executing", "warming", "submitting", "draining", "restarting", "cold", "unknown",
  "unreachable", "failed",
];
/** A server that cannot be judged alternates between the two; its row must not jump. */
const SAME = { checking: "unknown" };
/** States that last until someone or something repairs the server. */
const TROUBLE = ["failed", "unreachable"];

export const severityOf = (state) => BY_SEVERITY.indexOf(SAME[state] ?? state);

/** `counts`: state → number of servers. */
export const troubleIn = (counts) => TROUBLE.reduce((sum, state) => sum + (counts[state] ?? 0), 0);

/** Return the severity of a group's worst state, -1 if it has no servers. */
export const worstIn = (counts) =>
  Math.max(-1, ...Object.entries(counts).map(([state, count]) => (count > 0 ? severityOf(state) : -1)));
