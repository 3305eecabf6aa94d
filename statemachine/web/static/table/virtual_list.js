// A long list of which only what is in sight is in the document: every item has its place by its height, and the items
// near the window are drawn there. The item that has the focus stays, wherever it is, so that focus is never lost.

const OVERSCAN_PX = 320;

export class Windowed {
  #body;
  #sight;
  #heightOf;
  #create;
  #items = [];
  #tops = new Float64Array(1);
  #places = new Map();
  #drawn = new Map();

  /**
   * `sight()`: the window's [top, bottom] in px below the top of `body`. `heightOf(item)`: px.
   * `create(item)`: {node, show(item, index)}. Items have a `key`.
   */
  constructor({ body, sight, heightOf, create }) {
    this.#body = body;
    this.#sight = sight;
    this.#heightOf = heightOf;
    this.#create = create;
  }

  get items() {
    return this.#items;
  }

  get height() {
    return this.#tops[this.#items.length];
  }

  setItems(items) {
    this.#items = items;
    this.#places = new Map(items.map((item, index) => [item.key, index]));
    this.measure();
  }

  /** Heights have changed with the width of the window. */
  measure() {
    this.#tops = new Float64Array(this.#items.length + 1);
    this.#items.forEach((item, index) => (this.#tops[index + 1] = this.#tops[index] + this.#heightOf(item)));
    this.#body.style.height = `${this.height}px`;
  }

  indexOf(key) {
    return this.#places.get(key) ?? -1;
  }

  top(index) {
    return this.#tops[index];
  }

  node(key) {
    return this.#drawn.get(key)?.node;
  }

  /** Keys of what is drawn, from the top. */
  get drawnKeys() {
    return [...this.#drawn.keys()].sort((a, b) => this.indexOf(a) - this.indexOf(b));
  }

  /** Show an item anew, if it is drawn. */
  refresh(key) {
    const drawn = this.#drawn.get(key);
    const index = this.indexOf(key);
    if (drawn && index >= 0) drawn.show(this.#items[index], index);
  }

  /** Forget what is drawn: the words have changed. */
  clear() {
    for (const key of this.#drawn.keys()) this.refresh(key);
  }

  /** Draw what is in sight. `anew`: items or their order have changed. */
  draw(anew = false) {
    const focused = this.#focusedKey();
    const wanted = this.#wanted(focused);
    for (const [key, { node }] of this.#drawn) {
      if (wanted.has(key)) continue;
      node.remove();
      this.#drawn.delete(key);
    }
    for (const [key, index] of wanted) this.#place(key, index, anew);
    inOrder(this.#body, [...wanted.keys()].map((key) => this.node(key)), this.node(focused));
  }

  /** Draw the item at `index` and give its node. */
  nodeAt(index) {
    const key = this.#items[index].key;
    if (!this.#drawn.has(key)) this.draw();
    return this.node(key);
  }

  #place(key, index, anew) {
    let drawn = this.#drawn.get(key);
    if (!drawn) {
      drawn = this.#create(this.#items[index]);
      drawn.node.dataset.key = key;
      this.#drawn.set(key, drawn);
      anew = true;
    }
    if (anew) drawn.show(this.#items[index], index);
    const top = `${this.#tops[index]}px`;
    if (drawn.node.style.top !== top) drawn.node.style.top = top;
  }

  /** Key → index, from the top. */
  #wanted(focused) {
    const [top, bottom] = this.#sight();
    const first = this.#indexAt(top - OVERSCAN_PX);
    const last = this.#indexAt(bottom + OVERSCAN_PX);
    const indexes = [];
    for (let index = first; index <= last && index < this.#items.length; index += 1) indexes.push(index);
    const kept = this.indexOf(focused);
    if (kept >= 0 && kept < first) indexes.unshift(kept);
    if (kept > last) indexes.push(kept);
    return new Map(indexes.map((index) => [this.#items[index].key, index]));
  }

  #indexAt(y) {
    let [low, high] = [0, this.#items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #focusedKey() {
    const active = document.activeElement;
    return this.#body.contains(active) ? active.closest("[data-key]")?.dataset.key : undefined;
  }
}

/** Bring the nodes into this order without moving `anchor`: an element that is moved loses the focus. */
function inOrder(body, nodes, anchor) {
  const at = Math.max(0, nodes.indexOf(anchor));
  for (let index = at - 1, next = nodes[at]; index >= 0; next = nodes[index], index -= 1) {
    if (nodes[index].nextElementSibling !== next) body.insertBefore(nodes[index], next);
  }
  if (nodes.length > 0 && nodes[at].parentNode !== body) body.prepend(nodes[at]);
  for (let index = at + 1; index < nodes.length; index += 1) {
    if (nodes[index].previousElementSibling !== nodes[index - 1]) nodes[index - 1].after(nodes[index]);
  }
}
