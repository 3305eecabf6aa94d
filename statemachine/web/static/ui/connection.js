// The connection indicator, and the banner that dates the page's data while it is disconnected.

import { byId, setText } from "./dom.js";
import { label, setLabel } from "./i18n.js";
import { formatTime } from "./time.js";

const indicator = byId("connection");
const banner = byId("lost");
let lostAt = null;

export function showConnected() {
  lostAt = null;
  show("live");
}

/** Show the connection as lost since the first failure. Until the first connection, keep showing "connecting". */
export function showDisconnected() {
  if (indicator.dataset.connection === "connecting") return;
  lostAt ??= new Date().toISOString();
  show("lost");
}

/** Render the banner again after a switch of language. */
export function relabelConnection() {
  if (lostAt) setText(banner, label("lost_since", { time: formatTime(lostAt) }));
}

function show(state) {
  indicator.dataset.connection = state;
  setLabel(indicator.querySelector("[data-text]"), state);
  document.documentElement.toggleAttribute("data-stale", state === "lost");
  banner.hidden = state !== "lost";
  relabelConnection();
}
