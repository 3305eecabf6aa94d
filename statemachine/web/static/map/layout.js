// The layout of the map: one block per group, in rows from the left, with cells as large as the height allows.

const PITCHES = [30, 26, 22, 18, 16, 14, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3];
const MAX_ROWS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 26, 32, 44, 60, 90];
const GAP = 14;
const LABEL_HEIGHT = 20;
const MIN_BLOCK_WIDTH = 44;
/** How many times as high as allowed the blocks may be; else the groups are not kept apart. */
const MAX_EXCESS = 1.3;

/**
 * Lay out `groups` ([{name, names}]) with the largest cells that fit; very many become one block without a name.
 * Return {pitch, height, blocks: [{name, names, x, y, columns, width}]} in px; x and y are those of the first cell.
 */
export function computeLayout(groups, width, maxHeight) {
  const separate = fittedLayout(groups, width, maxHeight);
  if (separate.height <= maxHeight * MAX_EXCESS) return separate;
  return fittedLayout([{ name: "", names: groups.flatMap(({ names }) => names) }], width, maxHeight);
}

function fittedLayout(groups, width, maxHeight) {
  let lowest = null;
  for (const pitch of PITCHES) {
    const candidates = MAX_ROWS.map((rows) => arrangeBlocks(groups, width, pitch, rows));
    lowest = candidates.reduce((best, candidate) => (candidate.height < best.height ? candidate : best));
    if (lowest.height <= maxHeight) break;
  }
  return lowest;
}

/** Arrange the blocks, each at most `rows` cells high where the width allows. */
function arrangeBlocks(groups, width, pitch, rows) {
  const maxColumns = Math.max(1, Math.floor(width / pitch));
  let [x, y, tallest] = [0, 0, 0];
  const blocks = groups.map(({ name, names }) => {
    const count = names.length;
    const columns = Math.min(maxColumns, Math.max(Math.ceil(count / rows), Math.ceil(MIN_BLOCK_WIDTH / pitch)));
    const block = { name, names, columns, width: columns * pitch };
    if (x > 0 && x + block.width > width) [x, y, tallest] = [0, y + tallest + GAP, 0];
    Object.assign(block, { x, y: y + LABEL_HEIGHT });
    x += block.width + GAP;
    tallest = Math.max(tallest, LABEL_HEIGHT + Math.ceil(count / columns) * pitch);
    return block;
  });
  return { pitch, height: y + tallest, blocks };
}

/** Return the top left corner of a block's cell. */
export function positionOf(block, pitch, index) {
  return [block.x + (index % block.columns) * pitch, block.y + Math.floor(index / block.columns) * pitch];
}

/** Return the cell at a point as {block, index}, or null. */
export function cellAt(layout, x, y) {
  for (const block of layout.blocks) {
    const column = Math.floor((x - block.x) / layout.pitch);
    const row = Math.floor((y - block.y) / layout.pitch);
    const index = row * block.columns + column;
    if (column >= 0 && column < block.columns && row >= 0 && index < block.names.length) return { block, index };
  }
  return null;
}
