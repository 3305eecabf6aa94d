// What the page knows of the fleet. No document here.

export class Fleet {
  views = new Map();

  /** Take over a whole answer of /api/status. */
  replaceAll(servers) {
    this.views = new Map(servers.map((view) => [view.name, view]));
  }

  /** Take over one server's new line. */
  put(view) {
    this.views.set(view.name, view);
  }

  /** Take over a line whose place before or after a whole answer is not known; false where it is older. */
  putUnlessOlder(view) {
    const known = this.views.get(view.name);
    if (!known || isOlder(view, known)) return false;
    this.put(view);
    return true;
  }

  /** Servers in each state, as {state: count}. */
  counts() {
    return countBy(this.views.values(), (view) => view.state);
  }
}

/** The members that only grow tell two lines of one server apart: its state's beginning, its checks, its progress. */
function isOlder(view, known) {
  for (const key of ["since", "last_check", "progress"]) {
    const [mine, theirs] = [view[key] ?? "", known[key] ?? ""];
    if (mine !== theirs) return mine < theirs;
  }
  return false;
}

export function countBy(items, keyOf) {
  const counts = {};
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}
