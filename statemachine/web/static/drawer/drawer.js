// The drawer with one server's details. It is open while the page's address names a server, so it can be linked to and
// closed with the browser's Back button.

import { canRestart, updateServerButtons } from "../actions/buttons.js";
import { serverInAddress } from "../ui/address.js";
import { setCopyText } from "../ui/copy.js";
import { byId, make, setText, stateBadge } from "../ui/dom.js";
import { label, locale } from "../ui/i18n.js";
import { updateRelativeTimes } from "../ui/time.js";
import { showParts } from "./parts.js";
import { ServerDetail } from "./server_detail.js";

const wide = matchMedia("(min-width: 1240px)");
const drawer = byId("drawer");
const older = byId("drawer-older");
const buttons = [...byId("drawer-actions").children];

export class Drawer {
  #viewOf;
  #onClose;
  #server = null;

  /** `viewOf(name)`: the server's current view. `onClose(name)` restores the focus. */
  constructor(viewOf, onClose) {
    this.#viewOf = viewOf;
    this.#onClose = onClose;
    window.addEventListener("hashchange", () => this.followAddress());
    byId("drawer-close").addEventListener("click", leave);
    drawer.addEventListener("cancel", (event) => {
      event.preventDefault();
      leave();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#server || document.querySelector("dialog:modal")) return;
      if (!event.target.value) leave(); // in a search field, Escape clears the text first
    });
    older.addEventListener("click", () => this.#loadOlder());
    wide.addEventListener("change", () => this.#server && openDialog());
  }

  /** Show the server that the address names, or close the drawer. */
  followAddress() {
    const name = serverInAddress();
    if (name === (this.#server?.name ?? null)) return;
    if (name === null) this.#close();
    else this.#open(name);
  }

  /** Show a server's changed view, if the drawer is open for it. */
  update(name) {
    if (name !== this.#server?.name) return;
    this.#server.refreshSoon();
    this.show();
  }

  /** Add a log entry from the stream. */
  addEntry(entry) {
    if (entry.server === this.#server?.name) this.#server.add(entry);
  }

  tick() {
    if (this.#server) updateRelativeTimes(drawer);
  }

  /** Show the current details in the reader's language. */
  show() {
    if (!this.#server) return;
    const { name, missing, detail } = this.#server;
    const view = missing ? null : (this.#viewOf(name) ?? detail);
    setText(byId("drawer-title"), name);
    byId("drawer-title").title = name;
    showCopy(name);
    updateServerButtons(buttons, name, view?.state);
    byId("drawer-actions").hidden = !view;
    byId("drawer-restart-button").hidden = !(detail?.has_restart_hook && canRestart(view?.state));
    byId("drawer-body").hidden = missing;
    showState(view, missing);
    showParts(this.#server, view);
    older.hidden = !this.#server.hasOlder;
  }

  #open(name) {
    this.#server?.close();
    this.#server = new ServerDetail(name, () => this.show());
    this.show();
    if (!drawer.open) openDialog();
    byId("drawer-body").scrollTop = 0;
    byId("drawer-title").focus();
  }

  #close() {
    const { name } = this.#server;
    this.#server.close();
    this.#server = null;
    drawer.close();
    this.#onClose(name);
  }

  async #loadOlder() {
    older.disabled = true;
    await this.#server.loadOlder().catch(() => null); // the button remains for another attempt
    older.disabled = false;
  }
}

function showCopy(name) {
  const button = byId("drawer-copy");
  button.ariaLabel = button.title = label("copy_name");
  setCopyText(button, name);
}

let shownState = "";

function showState(view, missing) {
  const key = missing || !view ? "" : view.state + locale();
  const node = byId("drawer-state");
  if (missing) node.replaceChildren(make("span", "none", label("gone")));
  else if (!view) node.replaceChildren();
  else if (shownState !== key) node.replaceChildren(stateBadge(view.state));
  shownState = key;
}

/** Open beside the table where there is room, otherwise as a modal dialog. */
function openDialog() {
  if (drawer.open) drawer.close();
  if (wide.matches) drawer.show();
  else drawer.showModal();
}

function leave() {
  history.pushState(null, "", location.pathname + location.search);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
