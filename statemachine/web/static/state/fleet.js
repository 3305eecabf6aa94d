// The page's copy of the fleet: one view per server, with the number of servers in each state.

export class Fleet {
  views = new Map();
  groups = new Map();
  counts = {};
  #ranks = new Map();

  /** Replace everything with the servers of an /api/status response. */
  replaceAll(servers) {
    this.views = new Map();
    this.groups = new Map();
    this.counts = {};
    for (const view of servers) this.#add(view);
    this.#ranks = ranksOf([...this.views.keys()]);
  }

  /** Replace the view of a known server. */
  put(view) {
    const before = this.views.get(view.name);
    this.views.set(view.name, view);
    if (before.state === view.state) return;
    for (const counts of [this.counts, this.groups.get(before.group).counts]) {
      add(counts, before.state, -1);
      add(counts, view.state, 1);
    }
  }

  /** Replace the view of a known server, unless the fleet has a newer one. */
  putUnlessOlder(view) {
    const known = this.views.get(view.name);
    if (known && !isOlder(view, known)) this.put(view);
  }

  /** Return the views of a server or, without its name, of a group. */
  viewsOf({ server, group }) {
    const names = server === undefined ? (this.groups.get(group)?.names ?? []) : [server];
    return names.map((name) => this.views.get(name)).filter(Boolean);
  }

  /** Return a server's position in the order of names. */
  rank(name) {
    return this.#ranks.get(name);
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

/** Compare digits as numbers: 10.0.0.9 comes before 10.0.0.10. */
function ranksOf(names) {
  const { compare } = new Intl.Collator("en", { numeric: true });
  return new Map(names.sort(compare).map((name, rank) => [name, rank]));
}

/** Compare the fields that only grow: start of the state, last check, progress. */
function isOlder(view, known) {
  for (const key of ["since", "last_check", "progress"]) {
    const [mine, theirs] = [view[key] ?? "", known[key] ?? ""];
    if (mine !== theirs) return mine < theirs;
  }
  return false;
}
