// The word beside the pointer on the map.

import { byId, make, stateBadge } from "../ui/dom.js";
import { reasonText } from "../ui/i18n.js";

const DISTANCE = 14;

export class MapTip {
  #frame;
  #node = byId("map-tip");
  #said = null;

  constructor(frame) {
    this.#frame = frame;
  }

  show(view, x, y) {
    if (this.#said !== view) {
      this.#said = view;
      this.#node.replaceChildren(make("b", "", view.name), stateBadge(view.state), make("span", "", reasonText(view.reason)));
    }
    this.#node.hidden = false;
    const most = this.#frame.clientWidth - this.#node.offsetWidth;
    this.#node.style.left = `${Math.max(0, Math.min(x + DISTANCE, most))}px`;
    this.#node.style.top = `${y + DISTANCE}px`;
  }

  hide() {
    this.#node.hidden = true;
  }
}
