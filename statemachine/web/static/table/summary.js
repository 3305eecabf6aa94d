// The counts above the table: how many servers are loaded, and a tile per state that filters the table.

import { byId, make, setText } from "../ui/dom.js";
import { formatNumber } from "../ui/format.js";
import { stateText } from "../ui/i18n.js";

const tiles = [...byId("tiles").querySelectorAll("button")];
const segments = tiles.map((tile) => {
  const segment = make("span");
  segment.dataset.state = tile.dataset.state;
  return segment;
});
byId("bar").append(...segments);

/** Show the number of servers per state. */
export function showCounts(counts, total) {
  setText(byId("loaded"), formatNumber(counts.loaded ?? 0));
  setText(byId("total"), formatNumber(total));
  tiles.forEach((tile, index) => {
    const { state } = tile.dataset;
    const count = counts[state] ?? 0;
    setText(tile.querySelector("b"), formatNumber(count));
    tile.classList.toggle("none", count === 0);
    segments[index].style.flexGrow = String(count);
    segments[index].hidden = count === 0;
    segments[index].title = `${stateText(state)} ${formatNumber(count)}`;
  });
}

/** Call `onChange(states)` with the selected states; an empty set selects all. */
export function watchTiles(onChange) {
  byId("tiles").addEventListener("click", (event) => {
    const tile = event.target.closest("button");
    if (!tile) return;
    tile.setAttribute("aria-pressed", String(!isPressed(tile)));
    onChange(selectedStates());
  });
}

export const selectedStates = () => new Set(tiles.filter(isPressed).map(({ dataset }) => dataset.state));

export const clearTiles = () => selectTiles(new Set());

export function selectTiles(states) {
  for (const tile of tiles) tile.setAttribute("aria-pressed", String(states.has(tile.dataset.state)));
}

const isPressed = (tile) => tile.getAttribute("aria-pressed") === "true";
