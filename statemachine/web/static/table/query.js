// Which servers the table shows, and in which order: search, filters, sorting, groups.

import { severityOf, troubleIn, worstIn } from "../state/severity.js";
import { messageText, reasonText, stateText } from "../ui/i18n.js";

const SORT_VALUES = {
  name: () => 0,
  state: (view) => severityOf(view.state),
  since: (view) => view.since,
  queue: (view) => view.queue_remaining ?? -1,
  last_check: (view) => view.last_check ?? "",
};
/** The direction of the first click on a column. */
const FIRST_DIRECTION = { name: 1, state: -1, since: -1, queue: -1, last_check: 1 };

const TROUBLE_FIRST = { key: "state", direction: FIRST_DIRECTION.state };

export class Query {
  words = [];
  states = new Set();
  group = "";
  grouped = true;
  collapsed = new Set();
  sort = TROUBLE_FIRST;
  #searchTexts = new WeakMap();

  get filtered() {
    return this.words.length > 0 || this.states.size > 0 || this.group !== "";
  }

  /** Sort by a column; reverse the direction if it is sorted by it already. */
  sortBy(key) {
    const direction = this.sort.key === key ? -this.sort.direction : FIRST_DIRECTION[key];
    this.sort = { key, direction };
  }

  set text(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
  }

  /** Return whether the most severe states come first, as they do before the reader sorts. */
  get sortedByTrouble() {
    return this.sort.key === TROUBLE_FIRST.key && this.sort.direction === TROUBLE_FIRST.direction;
  }

  /** Sort by a column of the address; another text is ignored. */
  sortAs(key, direction) {
    if (Object.hasOwn(SORT_VALUES, key)) this.sort = { key, direction };
  }

  /** Drop the cached search texts after a switch of language. */
  clearSearchTexts() {
    this.#searchTexts = new WeakMap();
  }

  matches(view) {
    if (this.group && view.group !== this.group) return false;
    if (this.states.size > 0 && !this.states.has(view.state)) return false;
    return this.words.length === 0 || this.words.every((word) => this.#searchTextOf(view).includes(word));
  }

  /** Return whether a server's new view may change which rows are shown or their order. */
  isAffectedBy(before, after) {
    const value = SORT_VALUES[this.sort.key];
    return value(before) !== value(after) || this.matches(before) !== this.matches(after);
  }

  /** Return the rows, each {key, group} or {key, name}, and the number of servers that match. */
  run(fleet) {
    const rows = [];
    let shown = 0;
    for (const [group, names] of this.#sections(fleet)) {
      const matching = names.filter((name) => this.matches(fleet.views.get(name)));
      shown += matching.length;
      if (matching.length > 0 && group !== null) rows.push({ key: `group/${group}`, group });
      if (group !== null && this.collapsed.has(group)) continue;
      for (const name of this.#sorted(matching, fleet)) rows.push({ key: `server/${name}`, name });
    }
    return { rows, shown };
  }

  #sections(fleet) {
    if (!this.grouped) return [[null, [...fleet.views.keys()]]];
    const groups = [...fleet.groups.values()];
    if (this.sortedByTrouble) groups.sort(byTrouble);
    return groups.map(({ name, names }) => [name, names]);
  }

  #sorted(names, fleet) {
    const { key, direction } = this.sort;
    const entries = names.map((name) => [SORT_VALUES[key](fleet.views.get(name)), fleet.rank(name), name]);
    const byRank = key === "name" ? direction : 1;
    entries.sort(([a, rankA], [b, rankB]) => (a < b ? -direction : a > b ? direction : byRank * (rankA - rankB)));
    return entries.map(([, , name]) => name);
  }

  #searchTextOf(view) {
    if (!this.#searchTexts.has(view)) this.#searchTexts.set(view, searchText(view));
    return this.#searchTexts.get(view);
  }
}

/** Groups with the worst state come first, of equals that with more trouble; the others keep their order. */
function byTrouble(a, b) {
  return worstIn(b.counts) - worstIn(a.counts) || troubleIn(b.counts) - troubleIn(a.counts);
}

function searchText(view) {
  const parts = [view.name, view.group, view.state, stateText(view.state), view.reason, reasonText(view.reason)];
  return [...parts, messageText(view), ...view.missing].join(" ").toLowerCase();
}
