// The servers to which requests went.

import { serverHash } from "../ui/address.js";
import { make } from "../ui/dom.js";
import { formatNumber, formatPercent } from "../ui/format.js";
import { label } from "../ui/i18n.js";
import { reasonsLine } from "./figures.js";

const SHOWN = 12;

/** `servers`: those with the most requests. `count`: how many servers there are in all. */
export function serverCounts(servers, count) {
  const columns = ["server", "requests_count", "cold_share"].map((key) => header("col", label(key)));
  const rows = servers.slice(0, SHOWN).map(row);
  const table = make(
    "table",
    "figures-table server-counts",
    make("thead", "", make("tr", "", ...columns)),
    make("tbody", "", ...rows),
  );
  const rest = count - rows.length;
  const more = rest > 0 ? make("p", "unit", label("more_servers", { count: formatNumber(rest) })) : null;
  return [make("p", "caption", label("requests_by_server")), table, ...[more].filter(Boolean)];
}

function row({ server, requests, cold_share: share, reasons }) {
  const name = header("row", "");
  name.append(serverLink(server), make("span", "unit", reasonsLine(reasons)));
  return make("tr", "", name, make("td", "", formatNumber(requests)), make("td", "", formatPercent(share)));
}

const header = (scope, text) => Object.assign(make("th", "", text), { scope });

/** A link that opens the server's drawer. */
export const serverLink = (server) => Object.assign(make("a", "", server), { href: serverHash(server) });
