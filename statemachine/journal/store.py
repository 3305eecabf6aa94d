"""The journal's file. All calls block; use one thread at a time.

In WAL mode, `synchronous=NORMAL` keeps every committed entry through a SIGKILL. An attempt before its POST must also
survive a power cut, so it is committed with `synchronous=FULL`.
"""

import sqlite3
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.core.server import Attempt
from statemachine.core.streak import Streak
from statemachine.journal.pages import Page, page_after, page_before
from statemachine.journal.rows import (
    INSERT_ENTRY,
    INSERT_RUN,
    INSERT_SENT_ALERT,
    PRUNE_RUNS,
    UPSERT_ATTEMPT,
    UPSERT_HEARTBEAT,
    UPSERT_STREAK,
    DaemonRun,
    Row,
    SentAlertRow,
    attempt_from,
    entry_from,
    entry_row,
    streak_from,
)
from statemachine.journal.schema import migrate

JOURNAL_FILE = "journal.sqlite3"
"""Name of the file in the data folder."""

BUSY_MS = 500
"""How long to wait for a lock held by another program. All reads and writes wait meanwhile."""

STREAKS = "SELECT server, reason, count FROM streaks"
NEWEST_TRANSITIONS = "SELECT max(seq) FROM log WHERE dest IS NOT NULL GROUP BY server"


class Write(NamedTuple):
    """An entry, an attempt's row and a streak's row, or some of them. `durable` writes must survive a power cut."""

    entry: LogEntry | None = None
    attempt: Row | None = None
    durable: bool = False
    streak: Row | None = None


class JournalStore:
    """Methods raise sqlite3.Error or OSError if the file cannot be read or written."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file. Unless `read_only`, create or migrate it."""
        if read_only:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._run = 0 if read_only else self._prepare()
        except BaseException:
            self._db.close()
            raise
        self._run_is_recorded = False
        self._level = ""
        self._db.row_factory = sqlite3.Row
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def _prepare(self) -> int:
        """Migrate the file and return its last sequence number, after which this run starts."""
        self._db.execute("PRAGMA journal_mode = WAL")
        migrate(self._db)
        return self.last_seq()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def test_write(self) -> None:
        """Write without changing anything. Raise the error that a real write would raise."""
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        self._db.execute(f"PRAGMA user_version = {version}")

    @property
    def lineage(self) -> int:
        """Identify the shared log that the file copies; 0 if the file has its own numbers."""
        return int(self._db.execute("PRAGMA application_id").fetchone()[0])

    @lineage.setter
    def lineage(self, lineage: int) -> None:
        self._db.execute(f"PRAGMA application_id = {lineage}")

    def set_first_seq(self, first: int) -> None:
        """Start the sequence numbers of an empty file at `first`."""
        self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (first - 1,))
        self._run = first - 1

    def is_intact(self) -> bool:
        """Return whether SQLite finds no damage in the file."""
        try:
            return bool(self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False

    def write(self, batch: Sequence[Write]) -> list[int | None]:
        """Commit the batch in one transaction. Return the number of each entry, None for a write without one."""
        self._set_synchronous("FULL" if any(write.durable for write in batch) else "NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            numbers = self._put(batch)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        self._run_is_recorded = True
        return numbers

    def _set_synchronous(self, level: str) -> None:
        if level != self._level:
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._level = level

    def _put(self, batch: Sequence[Write]) -> list[int | None]:
        """Execute few statements, because the thread competes for the interpreter after each."""
        if not self._run_is_recorded:
            self._db.execute(INSERT_RUN, (self._run,))
        numbers = self._number(batch)
        if attempts := [write.attempt for write in batch if write.attempt is not None]:
            self._db.executemany(UPSERT_ATTEMPT, attempts)
        if streaks := [write.streak for write in batch if write.streak is not None]:
            self._db.executemany(UPSERT_STREAK, streaks)
        rows = [(number, *entry_row(write.entry)) for number, write in zip(numbers, batch, strict=True) if write.entry]
        self._db.executemany(INSERT_ENTRY, rows)
        return numbers

    def _number(self, batch: Sequence[Write]) -> list[int | None]:
        """Return the numbers of the entries. Entries of a shared log already have theirs.

        The caller holds the write lock, so no other connection can use the same numbers.
        """
        free = count(self.last_seq() + 1)
        return [None if write.entry is None else write.entry.seq or next(free) for write in batch]

    def last_seq(self) -> int:
        """Return the highest number ever given, 0 before the first. Pruning does not change it."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        return row[0] if row else 0

    def heartbeat(self, at: float) -> None:
        """Record that this run of the daemon was alive at `at` (epoch seconds)."""
        self._set_synchronous("NORMAL")
        self._db.execute(UPSERT_HEARTBEAT, (self._run, at))

    def runs(self, after: int) -> list[DaemonRun]:
        """Return the runs with an `after_seq` above `after`, oldest first. This run is always the last."""
        rows = self._db.execute("SELECT * FROM lives WHERE after_seq > ? ORDER BY after_seq", (after,))
        runs = [DaemonRun(row["after_seq"], row["seen_at"]) for row in rows]
        has_own = bool(runs) and runs[-1].after_seq == self._run
        return runs if has_own or self._run <= after else [*runs, DaemonRun(self._run, 0.0)]

    def page_after(self, after: int, limit: int, wanted: LogFilter = EVERYTHING) -> Page:
        """Return the oldest `limit` wanted entries with a number above `after`, oldest first."""
        return page_after(self._db, after, limit, wanted)

    def page_before(self, before: int, limit: int, wanted: LogFilter = EVERYTHING, after: int = 0) -> Page:
        """Return the newest `limit` wanted entries with a number between `after` and `before`, newest first."""
        return page_before(self._db, before, limit, wanted, after)

    def newest_entries(self, server: str, limit: int) -> list[LogEntry]:
        """Return the newest `limit` entries of one server, newest first."""
        rows = self._db.execute("SELECT * FROM log WHERE server = ? ORDER BY seq DESC LIMIT ?", (server, limit))
        return [entry_from(row) for row in rows]

    def has_server(self, name: str) -> bool:
        """Return whether the log has an entry of a server, which may have been removed from the settings."""
        return self._db.execute("SELECT 1 FROM log WHERE server = ? LIMIT 1", (name,)).fetchone() is not None

    def newest_attempts(self, server: str, limit: int) -> list[Attempt]:
        """Return the newest `limit` attempts on one server, newest first."""
        rows = self._db.execute(
            "SELECT * FROM attempts WHERE server = ? ORDER BY created_at DESC, rowid DESC LIMIT ?", (server, limit)
        )
        return [attempt_from(row) for row in rows]

    def open_attempts(self) -> list[Attempt]:
        """Return every attempt whose prompt may still be on its server, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM attempts WHERE outcome IN ('recorded', 'accepted') ORDER BY created_at, rowid"
        )
        return [attempt_from(row) for row in rows]

    def last_states(self) -> dict[str, str]:
        """Return the state that each server's newest transition led to."""
        rows = self._db.execute(f"SELECT server, dest FROM log WHERE seq IN ({NEWEST_TRANSITIONS})")  # noqa: S608
        return {row["server"]: row["dest"] for row in rows}

    def streaks(self) -> dict[str, Streak]:
        """Return each server's failures in a row."""
        return {server: streak_from(reason, count) for server, reason, count in self._db.execute(STREAKS)}

    def sent_alerts(self) -> list[SentAlertRow]:
        """Return the alerts that were saved last."""
        return [SentAlertRow(*row) for row in self._db.execute("SELECT * FROM told_alerts ORDER BY rowid")]

    def save_sent_alerts(self, alerts: Sequence[SentAlertRow]) -> None:
        """Replace the saved alerts with these."""
        self._set_synchronous("NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("DELETE FROM told_alerts")
            self._db.executemany(INSERT_SENT_ALERT, alerts)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise

    def prune(self, older_than: float, keep: int) -> int:
        """Delete entries before `older_than` (epoch seconds) and all but the newest `keep`; return how many.

        The newest transition of each server stays, because it shows whether the server is paused. Attempts and runs are
        deleted by age, except open attempts and the newest old run, which may have entries that stay.
        """
        self._set_synchronous("NORMAL")
        deleted = self._db.execute(
            f"DELETE FROM log WHERE (at < ? OR seq <= ?) AND seq NOT IN ({NEWEST_TRANSITIONS})",  # noqa: S608
            (older_than, self.last_seq() - keep),
        ).rowcount
        self._db.execute("DELETE FROM attempts WHERE ended_at < ?", (older_than,))
        self._db.execute(PRUNE_RUNS, (older_than,))
        return deleted
