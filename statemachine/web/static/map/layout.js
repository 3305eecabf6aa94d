// Where each server's cell stands on the map: a block a group, in shelves from the left, with cells as large as fit into
// the height that is allowed. Pure.

const PITCHES = [30, 26, 22, 18, 16, 14, 12, 11, 10, 9, 8, 7, 6, 5, 4];
const LONGEST_COLUMN = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 26, 32, 44, 60, 90];
const GAP = 14;
const LABEL = 20;
const LEAST_WIDTH = 72;

/** `groups`: [{name, count}]. {pitch, height, blocks: [{name, count, x, y, columns, width}]}; `y` is the first cell's. */
export function layOut(groups, width, maxHeight) {
  let flattest = null;
  for (const pitch of PITCHES) {
    const tried = LONGEST_COLUMN.map((rows) => shelves(groups, width, pitch, rows));
    flattest = tried.reduce((best, one) => (one.height < best.height ? one : best));
    if (flattest.height <= maxHeight) break;
  }
  return flattest;
}

function shelves(groups, width, pitch, rows) {
  const most = Math.max(1, Math.floor(width / pitch));
  let [x, y, tallest] = [0, 0, 0];
  const blocks = groups.map(({ name, count }) => {
    const columns = Math.min(most, Math.max(Math.ceil(count / rows), Math.ceil(LEAST_WIDTH / pitch)));
    const block = { name, count, columns, width: columns * pitch };
    if (x > 0 && x + block.width > width) [x, y, tallest] = [0, y + tallest + GAP, 0];
    Object.assign(block, { x, y: y + LABEL });
    x += block.width + GAP;
    tallest = Math.max(tallest, LABEL + Math.ceil(count / columns) * pitch);
    return block;
  });
  return { pitch, height: y + tallest, blocks };
}

/** The top left corner of a block's cell. */
export function cellAt(block, pitch, index) {
  return [block.x + (index % block.columns) * pitch, block.y + Math.floor(index / block.columns) * pitch];
}

/** The block and the cell in it at a point, or null. */
export function hit(layout, x, y) {
  for (const block of layout.blocks) {
    const column = Math.floor((x - block.x) / layout.pitch);
    const row = Math.floor((y - block.y) / layout.pitch);
    const index = row * block.columns + column;
    if (column >= 0 && column < block.columns && row >= 0 && index < block.count) return { block, index };
  }
  return null;
}
