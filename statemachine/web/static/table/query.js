// Which servers are shown, and in which order: filters, sorting, groups. No document here.

import { reasonText, stateText } from "../ui/i18n.js";

/** From well to ill: what needs a person comes first when sorted downwards. */
const SEVERITY = [
  "paused", "loaded", "checking", "auto_executing", "warming", "submitting", "cold", "unknown", "unreachable", "failed",
];
const VALUES = {
  name: () => 0,
  state: (view) => SEVERITY.indexOf(view.state),
  since: (view) => view.since,
  queue: (view) => view.queue_remaining ?? -1,
  last_check: (view) => view.last_check ?? "",
};
/** What a first click on a column wants to see. */
const FIRST = { name: 1, state: -1, since: -1, queue: -1, last_check: 1 };

export class Arrangement {
  words = [];
  states = new Set();
  group = "";
  grouped = true;
  collapsed = new Set();
  sort = { key: "name", direction: 1 };
  #texts = new WeakMap();

  get filtered() {
    return this.words.length > 0 || this.states.size > 0 || this.group !== "";
  }

  sortBy(key) {
    const again = this.sort.key === key;
    this.sort = { key, direction: again ? -this.sort.direction : FIRST[key] };
  }

  /** The language has changed, and with it what the words are looked for in. */
  forgetTexts() {
    this.#texts = new WeakMap();
  }

  matches(view) {
    if (this.group && view.group !== this.group) return false;
    if (this.states.size > 0 && !this.states.has(view.state)) return false;
    return this.words.length === 0 || this.words.every((word) => this.#textOf(view).includes(word));
  }

  /** Whether a server's new line may change who is shown, or where. */
  isTouchedBy(before, after) {
    const value = VALUES[this.sort.key];
    return value(before) !== value(after) || this.matches(before) !== this.matches(after);
  }

  /** The rows, as {key, group} and {key, name}, and how many servers match. */
  rowsOf(fleet) {
    const rows = [];
    let shown = 0;
    for (const [group, names] of this.#parts(fleet)) {
      const matching = names.filter((name) => this.matches(fleet.views.get(name)));
      shown += matching.length;
      if (matching.length > 0 && group !== null) rows.push({ key: `group/${group}`, group });
      if (group !== null && this.collapsed.has(group)) continue;
      for (const name of this.#sorted(matching, fleet)) rows.push({ key: `server/${name}`, name });
    }
    return { rows, shown };
  }

  #parts(fleet) {
    if (!this.grouped) return [[null, [...fleet.views.keys()]]];
    return [...fleet.groups.values()].map(({ name, names }) => [name, names]);
  }

  #sorted(names, fleet) {
    const { key, direction } = this.sort;
    const entries = names.map((name) => [VALUES[key](fleet.views.get(name)), fleet.rank(name), name]);
    const byRank = key === "name" ? direction : 1;
    entries.sort(([a, rankA], [b, rankB]) => (a < b ? -direction : a > b ? direction : byRank * (rankA - rankB)));
    return entries.map(([, , name]) => name);
  }

  #textOf(view) {
    if (!this.#texts.has(view)) this.#texts.set(view, searchable(view));
    return this.#texts.get(view);
  }
}

function searchable(view) {
  const words = [view.name, view.group, view.state, stateText(view.state), view.reason, reasonText(view.reason)];
  return [...words, view.message, ...view.missing].join(" ").toLowerCase();
}
