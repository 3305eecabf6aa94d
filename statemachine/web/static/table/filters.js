// The controls above the table, which change the query.

import { byId, preselect, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { label, setLabel } from "../ui/i18n.js";
import { onShortcut } from "../ui/shortcuts.js";
import { rememberQuery, restoreQuery } from "./query_address.js";
import { clearTiles, selectedStates, selectTiles, watchTiles } from "./summary.js";

const search = byId("search");
const group = byId("group-filter");
const grouped = byId("grouped");
const headers = [...document.querySelectorAll("#table th")];

/** Restore the query of the address. Call `onQuery()` after each change of the query, and `onGroup(name)` when a group is selected ("" for all). */
export function watchFilters(query, onQuery, onGroup) {
  restore(query, onGroup);
  const onChange = () => {
    rememberQuery(query, search.value);
    onQuery();
  };
  window.addEventListener("popstate", () => rememberQuery(query, search.value));
  watchSearch(query, onChange);
  watchTiles((states) => {
    query.states = states;
    onChange();
  });
  group.addEventListener("change", () => {
    query.group = group.value;
    onGroup(group.value);
    onChange();
  });
  grouped.addEventListener("click", () => {
    query.grouped = !query.grouped;
    grouped.setAttribute("aria-pressed", String(query.grouped));
    onChange();
  });
  byId("clear").addEventListener("click", () => clear(query, onChange, onGroup));
  watchSorting(query, onChange);
  watchCollapsing(query, onChange);
}

/** Show the query of the address in the controls. The groups are not known yet. */
function restore(query, onGroup) {
  search.value = restoreQuery(query);
  selectTiles(query.states);
  query.states = selectedStates(); // the address may name others
  grouped.setAttribute("aria-pressed", String(query.grouped));
  if (!query.group) return;
  preselect(group, query.group);
  onGroup(query.group);
}

function watchSearch(query, onChange) {
  search.addEventListener("input", () => {
    performance.mark("keystroke");
    query.text = search.value;
    onChange();
  });
  onShortcut("/", () => search.focus());
}

function clear(query, onChange, onGroup) {
  search.value = group.value = query.group = "";
  query.text = "";
  query.states = new Set();
  clearTiles();
  onGroup("");
  search.focus();
  onChange();
}

function watchSorting(query, onChange) {
  for (const header of headers) {
    header.querySelector(".sort")?.addEventListener("click", (event) => {
      query.sortBy(event.currentTarget.dataset.sort);
      showSorting(query);
      onChange();
    });
  }
  showSorting(query);
}

function showSorting({ sort }) {
  for (const header of headers) {
    const sorted = header.querySelector(".sort")?.dataset.sort === sort.key;
    if (sorted) header.ariaSort = sort.direction > 0 ? "ascending" : "descending";
    else header.removeAttribute("aria-sort");
  }
}

function watchCollapsing({ collapsed }, onChange) {
  byId("rows").addEventListener("click", (event) => {
    const name = event.target.closest(".toggle")?.closest("tr").dataset.group;
    if (name === undefined) return;
    if (!collapsed.delete(name)) collapsed.add(name);
    onChange();
  });
}

/** Show how many of how many servers match. */
export function showMatchCount(query, shown, total) {
  byId("clear").hidden = !query.filtered;
  const text = label("shown", { shown: formatNumber(shown), total: formatNumber(total) });
  setText(byId("shown"), query.filtered ? text : "");
  byId("empty").hidden = shown > 0;
  setLabel(byId("empty"), query.filtered ? "none_match" : "no_servers");
}
