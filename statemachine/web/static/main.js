// The page's start: its parts, and what makes each of them draw.

import { watchActions } from "./actions/actions.js";
import { Arrangement } from "./table/query.js";
import { relabelConnection, showLive, showLost } from "./ui/connection.js";
import { Drawer } from "./drawer/drawer.js";
import { byId, offerGroups } from "./ui/dom.js";
import { showNumber, watchFilters } from "./table/filters.js";
import { Fleet } from "./state/fleet.js";
import { EventLog } from "./log/log.js";
import { FleetMap } from "./map/map.js";
import { atMostEvery, onceAFrame } from "./ui/throttle.js";
import { openStream } from "./state/stream.js";
import { showCounts } from "./table/summary.js";
import { Sync } from "./state/sync.js";
import { Table } from "./table/table.js";
import { recallLanguage, watchLanguage } from "./ui/i18n.js";
import { watchTheme } from "./ui/theme.js";
import { watchViews } from "./ui/views.js";
import { Warmth } from "./warmth/panel.js";

const REARRANGE_MS = 700;
/** What changes by itself is shown at most so often, however much changes. */
const CHANGES_MS = 100;

const fleet = new Fleet();
const arrangement = new Arrangement();
const dirty = new Set();
const todo = { rows: false, cells: false };
const drawSoon = onceAFrame(draw);
const drawChangesSoon = atMostEvery(CHANGES_MS, drawSoon);
const rearrangeSoon = atMostEvery(REARRANGE_MS, rearrange);

const log = new EventLog();
const map = new FleetMap(fleet, (view) => arrangement.matches(view));
const drawer = new Drawer((name) => fleet.views.get(name), (name) => table.focusServer(name) || byId("search").focus());
const warmth = new Warmth(() => table.refreshGroups());
const table = new Table(fleet, arrangement, (group) => warmth.day(group), drawSoon);
const sync = new Sync(fleet, { onAll: showAll, onChange: change });

function rearrange() {
  todo.rows = true;
  drawSoon();
}

/** What the reader changes is shown at once. */
function refilter() {
  todo.cells = true;
  rearrange();
}

function change(before, view) {
  dirty.add(view.name);
  if (arrangement.isTouchedBy(before, view)) rearrangeSoon();
  drawChangesSoon();
}

function showAll() {
  const groups = [...fleet.groups.keys()];
  for (const select of ["group-filter", "warmth-scope"]) offerGroups(byId(select), groups);
  arrangement.group = byId("group-filter").value;
  map.layOut();
  refilter();
}

function draw() {
  if (!sync.known) {
    log.show();
    return;
  }
  if (todo.rows) showRows();
  else table.draw();
  for (const name of dirty) show(name);
  if (todo.cells) map.draw();
  if (todo.rows || dirty.size > 0) showCounts(fleet.counts, fleet.views.size);
  todo.rows = todo.cells = false;
  dirty.clear();
  log.show();
  markPainted();
}

function showRows() {
  const { rows, shown } = arrangement.rowsOf(fleet);
  table.setRows(rows);
  showNumber(arrangement, shown, fleet.views.size);
}

function show(name) {
  if (!fleet.views.has(name)) return;
  table.update(name);
  if (!todo.cells) map.update(name);
  drawer.update(name);
}

/** For measurements: when the first rows stood, and how long a keystroke took until its rows did. */
function markPainted() {
  if (!("ready" in document.documentElement.dataset)) {
    document.documentElement.dataset.ready = "";
    performance.mark("first-rows");
    warmth.refresh();
  }
  if (performance.getEntriesByName("keystroke").length === 0) return;
  performance.measure("filter", "keystroke");
  performance.clearMarks("keystroke");
}

function relabel() {
  arrangement.forgetTexts();
  log.relabel();
  drawer.show();
  map.describe();
  warmth.show();
  relabelConnection();
  refilter();
}

function receive(topic, data) {
  if (topic !== "progress") {
    log.add(data);
    drawer.addEntry(data);
  }
  sync.receive(topic, data);
  drawChangesSoon();
}

recallLanguage();
watchLanguage(relabel);
watchTheme(() => map.layOut());
watchViews();
watchFilters(arrangement, refilter, (group) => warmth.choose(group));
watchActions((group) => fleet.groups.get(group)?.names.length ?? 0);
drawer.follow();
setInterval(() => {
  table.tick();
  drawer.tick();
  map.describe();
}, 1000);
openStream({
  since: document.body.dataset.since,
  onOpen: () => {
    showLive();
    sync.start();
  },
  onLost: showLost,
  onEvent: receive,
});
