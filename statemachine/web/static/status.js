// The page's start. Events are held back while the whole status is fetched, and applied after it, so that nothing is
// missed: the stream is open before the status is asked for, and is asked for again whenever the stream was reopened.

import { watchActions } from "./actions.js";
import { fetchStatus } from "./api.js";
import { setClock } from "./clock.js";
import { byId, setText } from "./elements.js";
import { Fleet } from "./fleet.js";
import { addEntry, relabelLog, showLog } from "./log.js";
import { openStream } from "./stream.js";
import { clearTiles, showCounts, watchTiles } from "./summary.js";
import { searchable, Table } from "./table.js";
import { chooseLanguage, recallLanguage, setLabel } from "./texts.js";

const SYNC_RETRY_MS = 2000;

const fleet = new Fleet();
const table = new Table(byId("table"));
const filter = { words: [], states: new Set() };
const dirty = new Set();
let held = null; // while the status is fetched: the newest line of each server that has changed
let drawing = false;
let known = false;

async function sync() {
  held ??= new Map();
  try {
    const status = await fetchStatus();
    setClock(status.generated_at);
    fleet.replaceAll(status.servers);
  } catch {
    setTimeout(sync, SYNC_RETRY_MS);
    return;
  }
  for (const view of held?.values() ?? []) fleet.putUnlessOlder(view);
  held = null;
  known = true;
  drawAll();
}

function receive(topic, data) {
  if (topic !== "progress") addEntry(data);
  const view = topic === "progress" ? data : data.view;
  if (view && held) held.set(view.name, view);
  else if (view) change(view);
  drawSoon();
}

function change(view) {
  if (!fleet.views.has(view.name)) return;
  fleet.put(view);
  dirty.add(view.name);
}

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  for (const name of dirty) table.update(fleet.views.get(name));
  dirty.clear();
  showLog();
  if (!known) return;
  showCounts(fleet.counts(), fleet.views.size);
  const shown = table.filter(fleet.views.values(), matches);
  showNumber(shown);
}

function drawAll() {
  table.replaceAll(fleet.views.values());
  draw();
}

function showNumber(shown) {
  const filtered = filter.words.length > 0 || filter.states.size > 0;
  byId("clear").hidden = byId("shown-label").hidden = !filtered;
  setText(byId("shown"), filtered ? `${shown} / ${fleet.views.size}` : "");
  byId("empty").hidden = shown > 0;
  setLabel(byId("empty"), filtered ? "none_match" : "no_servers");
}

function matches(view) {
  if (filter.states.size > 0 && !filter.states.has(view.state)) return false;
  if (filter.words.length === 0) return true;
  const text = searchable(view);
  return filter.words.every((word) => text.includes(word));
}

function showConnection(state) {
  const node = byId("connection");
  if (node.dataset.connection === state) return;
  node.dataset.connection = state;
  setLabel(node.querySelector("[data-text]"), state);
}

function watchFilters() {
  const search = byId("search");
  search.addEventListener("input", () => {
    filter.words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    drawSoon();
  });
  watchTiles((states) => {
    filter.states = states;
    drawSoon();
  });
  byId("clear").addEventListener("click", () => {
    search.value = "";
    filter.words = [];
    filter.states = new Set();
    clearTiles();
    search.focus();
    drawSoon();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, dialog")) return;
    event.preventDefault();
    search.focus();
  });
}

function watchLanguage() {
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.addEventListener("click", () => {
      chooseLanguage(button.dataset.language);
      relabelLog();
      drawAll();
    });
  }
}

recallLanguage();
watchFilters();
watchLanguage();
watchActions(byId("table"));
setInterval(() => table.tick(), 1000);
openStream({
  since: document.body.dataset.since,
  onOpen: () => {
    showConnection("live");
    sync();
  },
  onLost: () => showConnection("lost"),
  onEvent: receive,
});
