// Keyboard navigation in the table: Tab reaches the controls of one row, the arrow keys move between rows.

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, End: Infinity, Home: -Infinity };

export class RovingTabindex {
  #list;
  #scrollTo;
  #activeKey = null;

  /** `list`: a VirtualList. `scrollTo(index)` scrolls an item into view. */
  constructor(body, list, scrollTo) {
    this.#list = list;
    this.#scrollTo = scrollTo;
    body.addEventListener("focusin", (event) => this.#activate(keyOf(event.target)));
    body.addEventListener("keydown", (event) => this.#move(event));
  }

  /** After rendering, make the active row reachable by Tab, or the first row if the active one is not rendered. */
  update() {
    const keys = this.#list.renderedKeys;
    const reachable = keys.includes(this.#activeKey) ? this.#activeKey : keys[0];
    for (const key of keys) {
      const tabIndex = key === reachable ? 0 : -1;
      for (const control of this.#list.node(key).querySelectorAll("a, button")) control.tabIndex = tabIndex;
    }
  }

  /** Focus an item's primary control; return false if the list has no such item. */
  focus(key) {
    const index = this.#list.indexOf(key);
    if (index < 0) return false;
    this.#focusAt(index, null);
    return true;
  }

  #activate(key) {
    if (!key || key === this.#activeKey) return;
    this.#activeKey = key;
    this.update();
  }

  #move(event) {
    const step = STEPS[event.key];
    const current = this.#list.indexOf(keyOf(event.target));
    if (step === undefined || current < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const index = Math.min(Math.max(current + step, 0), this.#list.items.length - 1);
    this.#focusAt(index, event.target.dataset.action);
  }

  /** Focus the button for the same action as in the row before, if the item has one. */
  #focusAt(index, action) {
    this.#scrollTo(index);
    const node = this.#list.nodeAt(index);
    const same = action && node.querySelector(`[data-action="${action}"]`);
    (same || node.querySelector("[data-primary]")).focus({ preventScroll: true });
  }
}

const keyOf = (node) => node.closest("[data-key]")?.dataset.key;
