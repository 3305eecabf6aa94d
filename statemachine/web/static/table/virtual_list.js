// A list that keeps only the visible items in the document. The item that has the focus stays in it even when it is
// scrolled out of view, so the focus is never lost.

const OVERSCAN_PX = 480;

export class VirtualList {
  #body;
  #viewport;
  #heightOf;
  #create;
  #items = [];
  #tops = new Float64Array(1);
  #indexes = new Map();
  #rendered = new Map();

  /**
   * `viewport()`: the visible [top, bottom] in px below the top of `body`. `heightOf(item)`: px.
   * `create(item)`: {node, show(item, index)}. Items have a `key`.
   */
  constructor({ body, viewport, heightOf, create }) {
    this.#body = body;
    this.#viewport = viewport;
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
    this.#indexes = new Map(items.map((item, index) => [item.key, index]));
    this.measure();
  }

  /** Recompute the positions; heights depend on the width of the window. */
  measure() {
    this.#tops = new Float64Array(this.#items.length + 1);
    this.#items.forEach((item, index) => (this.#tops[index + 1] = this.#tops[index] + this.#heightOf(item)));
    this.#body.style.height = `${this.height}px`;
  }

  indexOf(key) {
    return this.#indexes.get(key) ?? -1;
  }

  top(index) {
    return this.#tops[index];
  }

  node(key) {
    return this.#rendered.get(key)?.node;
  }

  /** Keys of the rendered items, from the top. */
  get renderedKeys() {
    return [...this.#rendered.keys()].sort((a, b) => this.indexOf(a) - this.indexOf(b));
  }

  /** Update an item's node, if it is rendered. */
  update(key) {
    const rendered = this.#rendered.get(key);
    const index = this.indexOf(key);
    if (rendered && index >= 0) rendered.show(this.#items[index], index);
  }

  /** Render the visible items. `all`: also update those that are rendered already. */
  render(all = false) {
    const focused = this.#focusedKey();
    const visible = this.#visible(focused);
    for (const [key, { node }] of this.#rendered) {
      if (visible.has(key)) continue;
      node.remove();
      this.#rendered.delete(key);
    }
    for (const [key, index] of visible) this.#place(key, index, all);
    reorder(this.#body, [...visible.keys()].map((key) => this.node(key)), this.node(focused));
  }

  /** Return the node of the item at `index`, rendering it if needed. */
  nodeAt(index) {
    const key = this.#items[index].key;
    if (!this.#rendered.has(key)) this.render();
    return this.node(key);
  }

  #place(key, index, update) {
    let rendered = this.#rendered.get(key);
    if (!rendered) {
      rendered = this.#create(this.#items[index]);
      rendered.node.dataset.key = key;
      this.#rendered.set(key, rendered);
      update = true;
    }
    if (update) rendered.show(this.#items[index], index);
    const top = `${this.#tops[index]}px`;
    if (rendered.node.style.top !== top) rendered.node.style.top = top;
  }

  /** Map the key of each item to render to its index, from the top. */
  #visible(focused) {
    const [top, bottom] = this.#viewport();
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

/** Put the nodes into this order without moving `anchor`: an element that is moved loses the focus. */
function reorder(body, nodes, anchor) {
  const start = Math.max(0, nodes.indexOf(anchor));
  for (let index = start - 1, next = nodes[start]; index >= 0; next = nodes[index], index -= 1) {
    if (nodes[index].nextElementSibling !== next) body.insertBefore(nodes[index], next);
  }
  if (nodes.length > 0 && nodes[start].parentNode !== body) body.prepend(nodes[start]);
  for (let index = start + 1; index < nodes.length; index += 1) {
    if (nodes[index].previousElementSibling !== nodes[index - 1]) nodes[index - 1].after(nodes[index]);
  }
}
