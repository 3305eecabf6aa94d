// The query in the page's address: ?q=TEXT&state=failed,cold&group=NAME&sort=-since&grouped=no. What is not named is as
// on a first visit. Other parameters, and the server in the hash, stay as they are.

import { throttle } from "../ui/throttle.js";

/** Browsers limit how often the address may change. */
const WRITE_MS = 400;
const NOT_GROUPED = "no";

let write = () => null;
const writeSoon = throttle(WRITE_MS, () => write());

/** Set the query as the address says; return the text of the search. */
export function restoreQuery(query) {
  const named = new URLSearchParams(location.search);
  const text = named.get("q") ?? "";
  query.text = text;
  query.states = new Set((named.get("state") ?? "").split(",").filter(Boolean));
  query.group = named.get("group") ?? "";
  query.grouped = named.get("grouped") !== NOT_GROUPED;
  const sort = named.get("sort") ?? "";
  query.sortAs(sort.replace(/^-/, ""), sort.startsWith("-") ? -1 : 1);
  return text;
}

/** Write the query into the address. `text`: that of the search. */
export function rememberQuery(query, text) {
  write = () => {
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(parameters(query, text))) {
      address.searchParams.delete(name);
      if (value) address.searchParams.set(name, value);
    }
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  };
  writeSoon();
}

function parameters({ states, group, grouped, sort, sortedByTrouble }, text) {
  return {
    q: text.trim(),
    state: [...states].join(","),
    group,
    sort: sortedByTrouble ? "" : `${sort.direction < 0 ? "-" : ""}${sort.key}`,
    grouped: grouped ? "" : NOT_GROUPED,
  };
}
