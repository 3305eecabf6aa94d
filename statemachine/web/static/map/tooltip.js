// The tooltip of the map.

import { byId, make, stateBadge } from "../ui/dom.js";
import { reasonText } from "../ui/i18n.js";

const DISTANCE = 14;

export class Tooltip {
  #frame;
  #node = byId("map-tooltip");
  #view = null;

  /** `frame`: the element that the tooltip must not leave on the right. */
  constructor(frame) {
    this.#frame = frame;
  }

  show(view, x, y) {
    if (this.#view !== view) {
      this.#view = view;
      const reason = make("span", "", reasonText(view.reason));
      this.#node.replaceChildren(make("b", "", view.name), stateBadge(view.state), reason);
    }
    this.#node.hidden = false;
    const maxLeft = this.#frame.clientWidth - this.#node.offsetWidth;
    this.#node.style.left = `${Math.max(0, Math.min(x + DISTANCE, maxLeft))}px`;
    this.#node.style.top = `${y + DISTANCE}px`;
  }

  hide() {
    this.#view = null;
    this.#node.hidden = true;
  }
}
