// One server with everything known of it, beside the table. The address says which (#server=NAME), so that a link leads
// there, and the browser's way back closes it.

import { tickAll } from "../ui/time.js";
import { showServerActions } from "../actions/buttons.js";
import { Dossier } from "./server_detail.js";
import { showParts } from "./parts.js";
import { byId, make, setText, stateBadge } from "../ui/dom.js";
import { label } from "../ui/i18n.js";

const PREFIX = "#server=";
const wide = matchMedia("(min-width: 1240px)");
const drawer = byId("drawer");
const older = byId("drawer-older");
const buttons = [...byId("drawer-actions").children];

export class Drawer {
  #viewOf;
  #onClose;
  #dossier = null;

  /** `viewOf(name)`: the newest line. `onClose(name)`: the focus is to go back there. */
  constructor(viewOf, onClose) {
    this.#viewOf = viewOf;
    this.#onClose = onClose;
    window.addEventListener("hashchange", () => this.follow());
    byId("drawer-close").addEventListener("click", leave);
    drawer.addEventListener("cancel", (event) => {
      event.preventDefault();
      leave();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#dossier || document.querySelector("dialog:modal")) return;
      if (!event.target.value) leave(); // a search field is emptied first
    });
    older.addEventListener("click", () => this.#loadOlder());
    wide.addEventListener("change", () => this.#dossier && lift());
  }

  /** Show the server that the address names, or none. */
  follow() {
    const name = location.hash.startsWith(PREFIX) ? decoded(location.hash.slice(PREFIX.length)) : null;
    if (name === (this.#dossier?.name ?? null)) return;
    if (name === null) this.#close();
    else this.#open(name);
  }

  /** A server's line has changed. */
  update(name) {
    if (name !== this.#dossier?.name) return;
    this.#dossier.refreshSoon();
    this.show();
  }

  /** The stream has brought a transition. */
  addEntry(entry) {
    if (entry.server === this.#dossier?.name) this.#dossier.add(entry);
  }

  tick() {
    if (this.#dossier) tickAll(drawer);
  }

  /** Show what is known now, in the language that is spoken now. */
  show() {
    if (!this.#dossier) return;
    const { name, gone, detail } = this.#dossier;
    const view = this.#viewOf(name) ?? detail;
    setText(byId("drawer-title"), name);
    byId("drawer-title").title = name;
    showServerActions(buttons, name, view?.state);
    showHead(view, gone);
    showParts(this.#dossier, view);
    older.hidden = !this.#dossier.hasOlder;
  }

  #open(name) {
    this.#dossier?.close();
    this.#dossier = new Dossier(name, () => this.show());
    this.show();
    if (!drawer.open) lift();
    byId("drawer-body").scrollTop = 0;
    byId("drawer-title").focus();
  }

  #close() {
    const { name } = this.#dossier;
    this.#dossier.close();
    this.#dossier = null;
    drawer.close();
    this.#onClose(name);
  }

  async #loadOlder() {
    older.disabled = true;
    await this.#dossier.loadOlder().catch(() => null); // the button stays, for another try
    older.disabled = false;
  }
}

/** Whoever typed the address may have left a "%" as it is: that must not end the page. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showHead(view, gone) {
  const state = byId("drawer-state");
  if (gone) state.replaceChildren(make("span", "none", label("gone")));
  else if (!view) state.replaceChildren();
  else if (state.dataset.said !== view.state + label("state")) state.replaceChildren(stateBadge(view.state));
  state.dataset.said = gone || !view ? "" : view.state + label("state");
}

/** Beside the table where there is room, above all else where there is none. */
function lift() {
  if (drawer.open) drawer.close();
  if (wide.matches) drawer.show();
  else drawer.showModal();
}

function leave() {
  history.pushState(null, "", location.pathname + location.search);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
