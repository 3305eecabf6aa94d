// Whether what is shown is live. While it is not, the page says since when, and greys its values.

import { clockTime } from "./time.js";
import { byId, setText } from "./dom.js";
import { label, setLabel } from "./i18n.js";

const node = byId("connection");
const banner = byId("lost");
let lostAt = null;

export function showLive() {
  lostAt = null;
  show("live");
}

/** From the first loss on, however often it is tried again. A page that never was live is still connecting. */
export function showLost() {
  if (node.dataset.connection === "connecting") return;
  lostAt ??= new Date().toISOString();
  show("lost");
}

/** Say it again, in the language that is now spoken. */
export function relabelConnection() {
  if (lostAt) setText(banner, label("lost_since", { time: clockTime(lostAt) }));
}

function show(state) {
  node.dataset.connection = state;
  setLabel(node.querySelector("[data-text]"), state);
  document.documentElement.toggleAttribute("data-stale", state === "lost");
  banner.hidden = state !== "lost";
  relabelConnection();
}
