// The keyboard in a long table: one row's controls are in the tab order, and the arrows go from row to row.

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, End: Infinity, Home: -Infinity };

export class Roving {
  #list;
  #reveal;
  #active = null;

  /** `list`: a Windowed. `reveal(index)` scrolls an item into sight. */
  constructor(body, list, reveal) {
    this.#list = list;
    this.#reveal = reveal;
    body.addEventListener("focusin", (event) => this.#activate(keyOf(event.target)));
    body.addEventListener("keydown", (event) => this.#move(event));
  }

  /** After drawing: the active row, or where it is out of sight the first one, is where Tab leads to. */
  settle() {
    const keys = this.#list.drawnKeys;
    const reachable = keys.includes(this.#active) ? this.#active : keys[0];
    for (const key of keys) {
      const tabIndex = key === reachable ? 0 : -1;
      for (const control of this.#list.node(key).querySelectorAll("a, button")) control.tabIndex = tabIndex;
    }
  }

  /** Put the focus on an item's first control, scrolling there; false where there is no such item. */
  focus(key) {
    const index = this.#list.indexOf(key);
    if (index < 0) return false;
    this.#focusAt(index, null);
    return true;
  }

  #activate(key) {
    if (!key || key === this.#active) return;
    this.#active = key;
    this.settle();
  }

  #move(event) {
    const step = STEPS[event.key];
    const here = this.#list.indexOf(keyOf(event.target));
    if (step === undefined || here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const index = Math.min(Math.max(here + step, 0), this.#list.items.length - 1);
    this.#focusAt(index, event.target.dataset.action);
  }

  /** The same button as in the row one comes from, if it has one. */
  #focusAt(index, action) {
    this.#reveal(index);
    const node = this.#list.nodeAt(index);
    const same = action && node.querySelector(`[data-action="${action}"]`);
    (same || node.querySelector("[data-primary]")).focus({ preventScroll: true });
  }
}

const keyOf = (node) => node.closest("[data-key]")?.dataset.key;
