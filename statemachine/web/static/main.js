// The page's entry point: creates its parts and connects them.

import { watchActions } from "./actions/actions.js";
import { AlertsPanel } from "./alerts/panel.js";
import { Drawer } from "./drawer/drawer.js";
import { EventLog } from "./log/log.js";
import { FleetMap } from "./map/map.js";
import { RequestsPanel } from "./requests/panel.js";
import { RolloutPanel } from "./rollout/panel.js";
import { SourcesPanel } from "./sources/panel.js";
import { Fleet } from "./state/fleet.js";
import { openStream } from "./state/stream.js";
import { Sync } from "./state/sync.js";
import { showMatchCount, watchFilters } from "./table/filters.js";
import { Query } from "./table/query.js";
import { showCounts } from "./table/summary.js";
import { Table } from "./table/table.js";
import { relabelConnection, showConnected, showDisconnected } from "./ui/connection.js";
import { watchCopying } from "./ui/copy.js";
import { byId, setGroupOptions } from "./ui/dom.js";
import { restoreLanguage, watchLanguage } from "./ui/i18n.js";
import { watchShortcuts } from "./ui/shortcuts.js";
import { watchTheme } from "./ui/theme.js";
import { oncePerFrame, throttle } from "./ui/throttle.js";
import { watchToasts } from "./ui/toasts.js";
import { showTrouble } from "./ui/trouble.js";
import { watchViews } from "./ui/views.js";
import { WarmthPanel } from "./warmth/panel.js";

/** Minimum time between two updates caused by events. */
const UPDATE_MS = 100;
/** Minimum time between two reorderings of the rows caused by events. */
const REORDER_MS = 700;

const fleet = new Fleet();
const query = new Query();
const changed = new Set();
const stale = { rows: false, cells: false, pauses: false };
const drawSoon = oncePerFrame(draw);
const updateSoon = throttle(UPDATE_MS, drawSoon);
const reorderSoon = throttle(REORDER_MS, reorder);

const log = new EventLog();
const map = new FleetMap(fleet, (view) => query.matches(view));
const drawer = new Drawer((name) => fleet.views.get(name), (name) => table.focusServer(name) || byId("search").focus());
const warmth = new WarmthPanel(() => table.updateGroups());
const requests = new RequestsPanel();
const rollout = new RolloutPanel();
const sources = new SourcesPanel();
const alerts = new AlertsPanel(() => fleet.views.values());
const table = new Table(fleet, query, (group) => warmth.lastDay(group), drawSoon);
const sync = new Sync(fleet, { onReplaced: showFleet, onChange: updateServer });

function reorder() {
  stale.rows = true;
  drawSoon();
}

/** Show the reader's own changes at once. */
function refilter() {
  stale.cells = true;
  reorder();
}

function updateServer(before, view) {
  changed.add(view.name);
  stale.pauses ||= before.pause !== null || view.pause !== null;
  if (query.isAffectedBy(before, view)) reorderSoon();
  updateSoon();
}

function showFleet() {
  const groups = [...fleet.groups.keys()];
  for (const select of ["group-filter", "warmth-scope"]) setGroupOptions(byId(select), groups);
  query.group = byId("group-filter").value;
  map.updateLayout();
  refilter();
}

function draw() {
  if (sync.ready) drawFleet();
  log.show();
  if (sync.ready) markDrawn();
}

function drawFleet() {
  if (stale.rows) drawRows();
  else table.render();
  for (const name of changed) drawServer(name);
  if (stale.cells) map.draw();
  if (stale.rows || changed.size > 0) {
    showCounts(fleet.counts, fleet.views.size);
    showTrouble(fleet.counts);
  }
  if (stale.pauses) alerts.show();
  stale.rows = stale.cells = stale.pauses = false;
  changed.clear();
}

function drawRows() {
  const { rows, shown } = query.run(fleet);
  table.setRows(rows);
  showMatchCount(query, shown, fleet.views.size);
}

function drawServer(name) {
  if (!fleet.views.has(name)) return;
  table.update(name);
  if (!stale.cells) map.update(name);
  drawer.update(name);
}

/** Record when the first rows were drawn, and the time from a keystroke in the search to its rows, for measurements. */
function markDrawn() {
  if (!("ready" in document.documentElement.dataset)) {
    document.documentElement.dataset.ready = "";
    performance.mark("first-rows");
    warmth.refresh();
    requests.refresh();
    alerts.refresh();
    rollout.refresh();
    sources.refresh();
  }
  if (performance.getEntriesByName("keystroke").length === 0) return;
  performance.measure("filter", "keystroke");
  performance.clearMarks("keystroke");
}

/** Render everything again after a switch of language. */
function relabel() {
  query.clearSearchTexts();
  log.renderAll();
  drawer.show();
  map.relabel();
  warmth.show();
  requests.show();
  alerts.show();
  rollout.show();
  sources.show();
  relabelConnection();
  refilter();
}

function receive(topic, data) {
  if (topic !== "progress") {
    log.add(data);
    drawer.addEntry(data);
    rollout.receive(data);
    sources.receive(data);
  }
  sync.receive(topic, data);
  updateSoon();
}

restoreLanguage();
watchLanguage(relabel);
watchTheme(() => map.updateLayout());
watchViews();
watchFilters(query, refilter, (group) => warmth.select(group));
watchActions((button) => fleet.viewsOf(button));
watchCopying();
watchShortcuts();
watchToasts();
drawer.followAddress();
setInterval(() => {
  table.tick();
  drawer.tick();
  map.describe();
}, 1000);
openStream({
  since: document.body.dataset.since,
  onOpen: () => {
    showConnected();
    sync.start();
  },
  onLost: showDisconnected,
  onEvent: receive,
});
