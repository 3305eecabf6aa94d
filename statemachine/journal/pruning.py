"""Deletes what the journal is not to keep any longer."""

import sqlite3
from collections.abc import Collection

NEWEST_TRANSITIONS = "SELECT max(seq) FROM log WHERE dest IS NOT NULL GROUP BY server"
TABLES_BY_SERVER = ("streaks", "pauses", "restarts")
"""Tables with one row for each server."""

PRUNE_RUNS = "DELETE FROM lives WHERE after_seq < (SELECT max(after_seq) FROM lives WHERE seen_at > 0 AND seen_at < ?)"
PRUNE_ROLLOUTS = "DELETE FROM rollouts WHERE started_at < ? AND rowid < (SELECT max(rowid) FROM rollouts)"


def prune_log(db: sqlite3.Connection, older_than: float, up_to: int) -> int:
    """Delete entries by age and by number, but the newest transition of each server; return how many."""
    query = f"DELETE FROM log WHERE (at < ? OR seq <= ?) AND seq NOT IN ({NEWEST_TRANSITIONS})"  # noqa: S608
    return db.execute(query, (older_than, up_to)).rowcount


def prune_by_age(db: sqlite3.Connection, older_than: float) -> None:
    """Delete old attempts, runs of the daemon and rolling restarts.

    Open attempts, the newest rolling restart and the newest old run stay, which may have entries that stay.
    """
    db.execute("DELETE FROM attempts WHERE ended_at < ?", (older_than,))
    db.execute(PRUNE_RUNS, (older_than,))
    db.execute(PRUNE_ROLLOUTS, (older_than,))


def prune_absent(db: sqlite3.Connection, older_than: float, present: Collection[str]) -> int:
    """Delete what is kept of servers that are not `present` and have no newer entry; return how many entries.

    Their open attempts stay, because a prompt may still be in flight.
    """
    old = db.execute("SELECT DISTINCT server FROM log WHERE at < ? AND server IS NOT NULL", (older_than,)).fetchall()
    gone = [(server, older_than) for (server,) in old if server not in present]
    deleted = db.executemany("DELETE FROM log WHERE server = ? AND at < ?", gone).rowcount
    for table in TABLES_BY_SERVER:
        query = f"SELECT server FROM {table} WHERE NOT EXISTS (SELECT 1 FROM log WHERE log.server = {table}.server)"  # noqa: S608
        without_entries = [(server,) for (server,) in db.execute(query).fetchall() if server not in present]
        db.executemany(f"DELETE FROM {table} WHERE server = ?", without_entries)  # noqa: S608
    return max(0, deleted)
