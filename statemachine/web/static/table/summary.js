// The figures above the table: how many are loaded, and how many are in each state. The states filter the table.

import { byId, make, setText } from "../ui/dom.js";
import { number } from "../ui/format.js";
import { stateText } from "../ui/i18n.js";

const tiles = [...byId("tiles").querySelectorAll("button")];
const segments = tiles.map((tile) => {
  const segment = make("span");
  segment.dataset.state = tile.dataset.state;
  return segment;
});
byId("bar").append(...segments);

/** Show {state: count}. */
export function showCounts(counts, total) {
  setText(byId("loaded"), number(counts.loaded ?? 0));
  setText(byId("total"), number(total));
  tiles.forEach((tile, index) => {
    const count = counts[tile.dataset.state] ?? 0;
    setText(tile.querySelector("b"), number(count));
    tile.classList.toggle("none", count === 0);
    segments[index].style.flexGrow = String(count);
    segments[index].hidden = count === 0;
    segments[index].title = `${stateText(tile.dataset.state)}: ${count}`;
  });
}

/** `onChange(states)` with the set of chosen states, empty for all. */
export function watchTiles(onChange) {
  byId("tiles").addEventListener("click", (event) => {
    const tile = event.target.closest("button");
    if (!tile) return;
    tile.setAttribute("aria-pressed", String(tile.getAttribute("aria-pressed") !== "true"));
    onChange(chosenStates());
  });
}

export function clearTiles() {
  for (const tile of tiles) tile.setAttribute("aria-pressed", "false");
}

const chosenStates = () =>
  new Set(tiles.filter((tile) => tile.getAttribute("aria-pressed") === "true").map((tile) => tile.dataset.state));
