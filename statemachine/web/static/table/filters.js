// The controls above the table: they change the arrangement, and say that it has changed.

import { byId, setText } from "../ui/dom.js";
import { number } from "../ui/format.js";
import { clearTiles, watchTiles } from "./summary.js";
import { label, setLabel } from "../ui/i18n.js";

const search = byId("search");
const group = byId("group-filter");
const grouped = byId("grouped");
const headers = [...document.querySelectorAll("#table th")];

/** `onChange()` when who is shown, or where, has changed; `onGroup(name)` when a group was chosen, "" for all. */
export function watchFilters(arrangement, onChange, onGroup) {
  watchSearch(arrangement, onChange);
  watchTiles((states) => {
    arrangement.states = states;
    onChange();
  });
  group.addEventListener("change", () => {
    arrangement.group = group.value;
    onGroup(group.value);
    onChange();
  });
  grouped.addEventListener("click", () => {
    arrangement.grouped = !arrangement.grouped;
    grouped.setAttribute("aria-pressed", String(arrangement.grouped));
    onChange();
  });
  byId("clear").addEventListener("click", () => clear(arrangement, onChange, onGroup));
  watchSorting(arrangement, onChange);
  watchFolding(arrangement, onChange);
}

function watchSearch(arrangement, onChange) {
  search.addEventListener("input", () => {
    performance.mark("keystroke");
    arrangement.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    onChange();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, dialog[open]:modal")) return;
    event.preventDefault();
    search.focus();
  });
}

function clear(arrangement, onChange, onGroup) {
  search.value = group.value = arrangement.group = "";
  arrangement.words = [];
  arrangement.states = new Set();
  clearTiles();
  onGroup("");
  search.focus();
  onChange();
}

function watchSorting(arrangement, onChange) {
  for (const header of headers) {
    header.querySelector(".sort")?.addEventListener("click", (event) => {
      arrangement.sortBy(event.currentTarget.dataset.sort);
      showSorting(arrangement);
      onChange();
    });
  }
  showSorting(arrangement);
}

function showSorting({ sort }) {
  for (const header of headers) {
    const sorted = header.querySelector(".sort")?.dataset.sort === sort.key;
    if (sorted) header.ariaSort = sort.direction > 0 ? "ascending" : "descending";
    else header.removeAttribute("aria-sort");
  }
}

function watchFolding({ collapsed }, onChange) {
  byId("rows").addEventListener("click", (event) => {
    const name = event.target.closest(".toggle")?.closest("tr").dataset.group;
    if (name === undefined) return;
    if (!collapsed.delete(name)) collapsed.add(name);
    onChange();
  });
}

/** How many are shown of how many. */
export function showNumber(arrangement, shown, total) {
  byId("clear").hidden = !arrangement.filtered;
  const words = label("shown", { shown: number(shown), total: number(total) });
  setText(byId("shown"), arrangement.filtered ? words : "");
  byId("empty").hidden = shown > 0;
  setLabel(byId("empty"), arrangement.filtered ? "none_match" : "no_servers");
}
