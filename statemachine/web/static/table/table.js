// The table of servers. Only visible rows are in the document, so the work depends on the window and not on the fleet.

import { byId } from "../ui/dom.js";
import { updateRelativeTimes } from "../ui/time.js";
import { GroupRow } from "./group_row.js";
import { History } from "./history.js";
import { RovingTabindex } from "./roving_tabindex.js";
import { ServerRow } from "./server_row.js";
import { VirtualList } from "./virtual_list.js";

const SERVER_KEY = "server/";
const table = byId("table");
const body = byId("rows");

export class Table {
  #fleet;
  #query;
  #statsOf;
  #history = new History(() => this.#shownNames(), (name) => this.#list.update(`server/${name}`));
  #heights = { server: 0, group: 0 };
  #list;
  #roving;

  /** `statsOf(group)`: the group's last day, or null. `onScroll()` runs when other rows come into view. */
  constructor(fleet, query, statsOf, onScroll) {
    this.#fleet = fleet;
    this.#query = query;
    this.#statsOf = statsOf;
    this.#list = new VirtualList({
      body,
      viewport: () => viewportOf(body.getBoundingClientRect()),
      heightOf: (row) => (row.name === undefined ? this.#heights.group : this.#heights.server),
      create: (row) => (row.name === undefined ? this.#createGroupRow() : this.#createServerRow()),
    });
    this.#roving = new RovingTabindex(body, this.#list, (index) => this.#scrollTo(index));
    this.#readHeights();
    window.addEventListener("scroll", onScroll, { passive: true });
    window.addEventListener("resize", () => {
      this.#readHeights();
      this.#list.measure();
      onScroll();
    });
  }

  /** Show the rows of a query. If the focused row is gone, focus the one in its place. */
  setRows(rows) {
    const key = focusedKey();
    const index = this.#list.indexOf(key);
    this.#list.setItems(rows);
    table.setAttribute("aria-rowcount", rows.length + 1);
    table.hidden = rows.length === 0;
    this.render(true);
    if (key && this.#list.indexOf(key) < 0 && rows.length > 0) {
      this.#roving.focus(rows[Math.min(index, rows.length - 1)].key);
    }
  }

  /** Render the rows that have come into view. `all`: update the others, too. */
  render(all = false) {
    this.#list.render(all);
    this.#roving.update();
    this.#history.wantSoon();
  }

  /** Update a server's row and its group's. */
  update(name) {
    this.#list.update(`server/${name}`);
    this.#list.update(`group/${this.#fleet.views.get(name).group}`);
  }

  updateGroups() {
    for (const group of this.#fleet.groups.keys()) this.#list.update(`group/${group}`);
  }

  focusServer(name) {
    return this.#roving.focus(`server/${name}`);
  }

  tick() {
    updateRelativeTimes(body);
  }

  #shownNames() {
    const keys = this.#list.renderedKeys.filter((key) => key.startsWith(SERVER_KEY));
    return keys.map((key) => key.slice(SERVER_KEY.length));
  }

  #createServerRow() {
    const row = new ServerRow();
    const show = ({ name }, index) => row.show(this.#fleet.views.get(name), this.#history.of(name), index);
    return { node: row.node, show };
  }

  #createGroupRow() {
    const row = new GroupRow();
    const show = ({ group }, index) =>
      row.show(this.#fleet.groups.get(group), this.#statsOf(group), this.#query.collapsed.has(group), index);
    return { node: row.node, show };
  }

  #readHeights() {
    const style = getComputedStyle(table);
    this.#heights.server = parseFloat(style.getPropertyValue("--row-height"));
    this.#heights.group = parseFloat(style.getPropertyValue("--group-height"));
  }

  /** Scroll until a row is between the sticky header and the bottom of the window. */
  #scrollTo(index) {
    const top = body.getBoundingClientRect().top + this.#list.top(index);
    const bottom = top + this.#list.top(index + 1) - this.#list.top(index);
    const headerBottom = table.tHead.getBoundingClientRect().height + stickyTop();
    if (top < headerBottom) window.scrollBy(0, top - headerBottom);
    else if (bottom > window.innerHeight) window.scrollBy(0, bottom - window.innerHeight);
  }
}

const stickyTop = () => parseFloat(getComputedStyle(table.tHead).top) || 0;
const viewportOf = (rect) => [-rect.top, -rect.top + window.innerHeight];
const focusedKey = () =>
  body.contains(document.activeElement) ? document.activeElement.closest("[data-key]").dataset.key : null;
