"""Reading the event log in pages: each read is bounded in what it returns and, where it chooses, in what it looks at.

Reads share a thread with the daemon's writes. A filter that fits nothing in a million entries must not hold that thread
for a second, so a page ends after `SCAN_ROWS` of them, and whoever reads asks for the next.
"""

import sqlite3
from dataclasses import dataclass

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.journal.rows import Row, entry_from

SCAN_ROWS = 5_000
"""Some milliseconds."""


@dataclass(frozen=True, slots=True)
class Page:
    """All that is wanted up to (or down to) the number `reached`, and whether there may be more beyond it."""

    entries: list[LogEntry]
    reached: int
    more: bool


def page_after(db: sqlite3.Connection, after: int, limit: int, wanted: LogFilter) -> Page:
    """The oldest `limit` (1 or more) wanted entries with a number above `after`, oldest first."""
    looked_at, of_whom, whom = _scan(limit, wanted)
    count, reached = db.execute(
        f"SELECT count(*), max(seq) FROM (SELECT seq FROM log WHERE seq > ?{of_whom} ORDER BY seq LIMIT ?)",  # noqa: S608
        (after, *whom, looked_at),
    ).fetchone()
    if not count:
        return Page([], after, more=False)
    condition, values = _condition(wanted)
    rows = db.execute(
        f"SELECT * FROM log WHERE seq > ? AND seq <= ?{condition} ORDER BY seq LIMIT ?",  # noqa: S608
        (after, reached, *values, limit),
    )
    return _page(rows, limit, reached, more=count == looked_at)


def page_before(db: sqlite3.Connection, before: int, limit: int, wanted: LogFilter, after: int) -> Page:
    """The newest `limit` (1 or more) wanted entries with a number below `before` and above `after`, newest first."""
    looked_at, of_whom, whom = _scan(limit, wanted)
    count, reached = db.execute(
        "SELECT count(*), min(seq) FROM "  # noqa: S608
        f"(SELECT seq FROM log WHERE seq < ? AND seq > ?{of_whom} ORDER BY seq DESC LIMIT ?)",
        (before, after, *whom, looked_at),
    ).fetchone()
    if not count:
        return Page([], before, more=False)
    condition, values = _condition(wanted)
    rows = db.execute(
        f"SELECT * FROM log WHERE seq < ? AND seq >= ?{condition} ORDER BY seq DESC LIMIT ?",  # noqa: S608
        (before, reached, *values, limit),
    )
    return _page(rows, limit, reached, more=count == looked_at)


def _scan(limit: int, wanted: LogFilter) -> tuple[int, str, Row]:
    """How many entries to look at, and of whom: those of one server are found by their index."""
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
    """Joined with AND only: an `OR` would keep SQLite from its index by server."""
    choices: dict[str, list[str]] = {
        "server": sorted(wanted.servers),
        "grp": sorted(wanted.groups),
        "dest": sorted(state.value for state in wanted.states),
        "reason": sorted(wanted.reasons),
    }
    text = "".join(f" AND {column} IN ({', '.join('?' * len(choice))})" for column, choice in choices.items() if choice)
    return text, tuple(value for choice in choices.values() for value in choice)
