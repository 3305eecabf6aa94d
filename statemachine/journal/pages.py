"""Read the event log in pages, each limited in the entries that it returns and scans.

Reads share a thread with the daemon's writes. A filter that matches none of a million entries must not block that
thread for a second, so a page ends after `SCAN_ROWS` scanned entries and the caller asks for the next.
"""

import sqlite3
from dataclasses import dataclass

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.journal.rows import Row, entry_from

SCAN_ROWS = 5_000
"""Takes a few milliseconds."""

_NAMES_CONTAIN = " AND instr(lower(coalesce(server, '') || ' ' || coalesce(grp, '')), ?) > 0"


@dataclass(frozen=True, slots=True)
class Page:
    """All wanted entries up to (or down to) the number `reached`, and whether there may be more."""

    entries: list[LogEntry]
    reached: int
    more: bool


def page_after(db: sqlite3.Connection, after: int, limit: int, wanted: LogFilter) -> Page:
    """Return the oldest `limit` (1 or more) wanted entries with a number above `after`, oldest first."""
    scan_rows, filter_sql, filter_values = _scan(limit, wanted)
    count, reached = db.execute(
        f"SELECT count(*), max(seq) FROM (SELECT seq FROM log WHERE seq > ?{filter_sql} ORDER BY seq LIMIT ?)",  # noqa: S608
        (after, *filter_values, scan_rows),
    ).fetchone()
    if not count:
        return Page([], after, more=False)
    condition, values = _condition(wanted)
    rows = db.execute(
        f"SELECT * FROM log WHERE seq > ? AND seq <= ?{condition} ORDER BY seq LIMIT ?",  # noqa: S608
        (after, reached, *values, limit),
    )
    return _page(rows, limit, reached, more=count == scan_rows)


def page_before(db: sqlite3.Connection, before: int, limit: int, wanted: LogFilter, after: int) -> Page:
    """Return the newest `limit` (1 or more) wanted entries between `after` and `before`, newest first."""
    scan_rows, filter_sql, filter_values = _scan(limit, wanted)
    count, reached = db.execute(
        "SELECT count(*), min(seq) FROM "  # noqa: S608
        f"(SELECT seq FROM log WHERE seq < ? AND seq > ?{filter_sql} ORDER BY seq DESC LIMIT ?)",
        (before, after, *filter_values, scan_rows),
    ).fetchone()
    if not count:
        return Page([], before, more=False)
    condition, values = _condition(wanted)
    rows = db.execute(
        f"SELECT * FROM log WHERE seq < ? AND seq >= ?{condition} ORDER BY seq DESC LIMIT ?",  # noqa: S608
        (before, reached, *values, limit),
    )
    return _page(rows, limit, reached, more=count == scan_rows)


def _scan(limit: int, wanted: LogFilter) -> tuple[int, str, Row]:
    """Return how many entries to scan, and the condition on them: an index finds those of one server."""
    if wanted == EVERYTHING:
        return limit, "", ()
    of_one_server = LogFilter(servers=wanted.servers) if len(wanted.servers) == 1 else EVERYTHING
    return SCAN_ROWS, *_condition(of_one_server)


def _page(rows: sqlite3.Cursor, limit: int, reached: int, *, more: bool) -> Page:
    entries = [entry_from(row) for row in rows]
    if len(entries) == limit:
        return Page(entries, entries[-1].seq or reached, more=True)
    return Page(entries, reached, more)


def _condition(wanted: LogFilter) -> tuple[str, Row]:
    """Use AND only, because SQLite does not use the index by server with OR."""
    choices: dict[str, list[str]] = {
        "server": sorted(wanted.servers),
        "grp": sorted(wanted.groups),
        "dest": sorted(state.value for state in wanted.states),
        "reason": sorted(wanted.reasons),
    }
    text = "".join(f" AND {column} IN ({', '.join('?' * len(choice))})" for column, choice in choices.items() if choice)
    words = sorted(wanted.words)
    values = (*(value for choice in choices.values() for value in choice), *words)
    return text + _NAMES_CONTAIN * len(words), values
