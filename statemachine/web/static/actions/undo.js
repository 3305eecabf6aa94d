// Which request takes an action back.

/**
 * Return {action, terms}, or null if no request does. `views`: the servers before the action. The pause of a group is
 * taken back as a whole, so none of it may have been paused before.
 */
export function undoOf(action, views) {
  if (action === "pause" && views.every((view) => view.state !== "paused")) return { action: "resume", terms: {} };
  if (action === "restart") return { action: "resume", terms: {} };
  if (action === "resume" && views.length === 1 && views[0].state === "paused") return { action: "pause", terms: termsOf(views[0].pause) };
  return null;
}

function termsOf(pause) {
  return { ...(pause?.until && { until: pause.until }), ...(pause?.note && { note: pause.note }) };
}
