// What the page knows of the fleet: the servers' lines, and counts that are kept as the lines change. No document here.

export class Fleet {
  views = new Map();
  groups = new Map();
  counts = {};
  ranks = new Map();

  /** Take over a whole answer of /api/status. */
  replaceAll(servers) {
    this.views = new Map();
    this.groups = new Map();
    this.counts = {};
    for (const view of servers) this.#add(view);
    this.ranks = ranksOf([...this.views.keys()]);
  }

  /** Take over a known server's new line. */
  put(view) {
    const before = this.views.get(view.name);
    this.views.set(view.name, view);
    if (before.state === view.state) return;
    for (const counts of [this.counts, this.groups.get(before.group).counts]) add(counts, before.state, -1);
    for (const counts of [this.counts, this.groups.get(before.group).counts]) add(counts, view.state, 1);
  }

  /** Take over a line whose place before or after a whole answer is not known. */
  putUnlessOlder(view) {
    const known = this.views.get(view.name);
    if (known && !isOlder(view, known)) this.put(view);
  }

  /** A server's place among the names, by which everything is in order at last. */
  rank(name) {
    return this.ranks.get(name);
  }

  #add(view) {
    if (!this.groups.has(view.group)) this.groups.set(view.group, { name: view.group, names: [], counts: {} });
    const group = this.groups.get(view.group);
    this.views.set(view.name, view);
    group.names.push(view.name);
    add(this.counts, view.state, 1);
    add(group.counts, view.state, 1);
  }
}

function add(counts, state, number) {
  counts[state] = (counts[state] ?? 0) + number;
}

/** Numbers in names are compared as numbers: 10.0.0.9 comes before 10.0.0.10. */
function ranksOf(names) {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return new Map(names.sort(compare).map((name, rank) => [name, rank]));
}

/** The members that only grow tell two lines of one server apart: its state's beginning, its checks, its progress. */
function isOlder(view, known) {
  for (const key of ["since", "last_check", "progress"]) {
    const [mine, theirs] = [view[key] ?? "", known[key] ?? ""];
    if (mine !== theirs) return mine < theirs;
  }
  return false;
}
