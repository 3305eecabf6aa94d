// The table of servers. Only the rows in sight are in the document, so that the work follows the size of the window and
// not that of the fleet.

import { tickAll } from "../ui/time.js";
import { byId } from "../ui/dom.js";
import { GroupRow } from "./group_row.js";
import { Roving } from "./roving_tabindex.js";
import { ServerRow } from "./server_row.js";
import { Windowed } from "./virtual_list.js";

const table = byId("table");
const body = byId("rows");

export class Table {
  #fleet;
  #arrangement;
  #statsOf;
  #heights = { server: 0, group: 0 };
  #list;
  #roving;

  /** `statsOf(group)`: a group's last day, or null. `onScroll()`: what is in sight has changed. */
  constructor(fleet, arrangement, statsOf, onScroll) {
    this.#fleet = fleet;
    this.#arrangement = arrangement;
    this.#statsOf = statsOf;
    this.#list = new Windowed({
      body,
      sight: () => sightOf(body.getBoundingClientRect()),
      heightOf: (row) => (row.name === undefined ? this.#heights.group : this.#heights.server),
      create: (row) => (row.name === undefined ? this.#groupRow() : this.#serverRow()),
    });
    this.#roving = new Roving(body, this.#list, (index) => this.#reveal(index));
    this.#readHeights();
    window.addEventListener("scroll", onScroll, { passive: true });
    window.addEventListener("resize", () => {
      this.#readHeights();
      this.#list.measure();
      onScroll();
    });
  }

  /** Show these rows of the arrangement, in their order, and no others. */
  setRows(rows) {
    const [held, place] = [heldKey(), this.#list.indexOf(heldKey())];
    this.#list.setItems(rows);
    table.setAttribute("aria-rowcount", rows.length + 1);
    table.hidden = rows.length === 0;
    this.draw(true);
    if (held && this.#list.indexOf(held) < 0 && rows.length > 0) {
      this.#roving.focus(rows[Math.min(place, rows.length - 1)].key);
    }
  }

  /** Draw what has come into sight. */
  draw(anew = false) {
    this.#list.draw(anew);
    this.#roving.settle();
  }

  /** Show one server's new line, and the count of its group. */
  update(name) {
    this.#list.refresh(`server/${name}`);
    this.#list.refresh(`group/${this.#fleet.views.get(name).group}`);
  }

  refreshGroups() {
    for (const group of this.#fleet.groups.keys()) this.#list.refresh(`group/${group}`);
  }

  focusServer(name) {
    return this.#roving.focus(`server/${name}`);
  }

  tick() {
    tickAll(body);
  }

  #serverRow() {
    const row = new ServerRow();
    return { node: row.node, show: ({ name }, index) => row.show(this.#fleet.views.get(name), index) };
  }

  #groupRow() {
    const row = new GroupRow();
    const show = ({ group }, index) =>
      row.show(this.#fleet.groups.get(group), this.#statsOf(group), this.#arrangement.collapsed.has(group), index);
    return { node: row.node, show };
  }

  #readHeights() {
    const style = getComputedStyle(table);
    this.#heights.server = parseFloat(style.getPropertyValue("--row-height"));
    this.#heights.group = parseFloat(style.getPropertyValue("--group-height"));
  }

  /** Scroll so that a row stands between the table's head, which stays on top, and the window's end. */
  #reveal(index) {
    const at = body.getBoundingClientRect().top + this.#list.top(index);
    const [above, below] = [table.tHead.getBoundingClientRect().height + stickyTop(), window.innerHeight];
    const height = this.#list.top(index + 1) - this.#list.top(index);
    if (at < above) window.scrollBy(0, at - above);
    else if (at + height > below) window.scrollBy(0, at + height - below);
  }
}

const stickyTop = () => parseFloat(getComputedStyle(table.tHead).top) || 0;
const sightOf = (rect) => [-rect.top, -rect.top + window.innerHeight];
const heldKey = () => (body.contains(document.activeElement) ? document.activeElement.closest("[data-key]").dataset.key : null);
