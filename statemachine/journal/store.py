"""The journal's file. All calls block; use one thread at a time.

In WAL mode, `synchronous=NORMAL` keeps every committed entry through a SIGKILL. An attempt before its POST must also
survive a power cut, so it is committed with `synchronous=FULL`.
"""

import sqlite3
from collections.abc import Collection, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from loguru import logger

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.core.pause import Pause
from statemachine.core.repetition import Streak
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt
from statemachine.journal.database import JournalDatabase
from statemachine.journal.pages import Page, page_after, page_before
from statemachine.journal.pruning import NEWEST_TRANSITIONS, prune_absent, prune_by_age, prune_log
from statemachine.journal.restart_rows import RESTARTS, UPSERT_RESTART, restart_from
from statemachine.journal.rows import (
    INSERT_ENTRY,
    INSERT_RUN,
    INSERT_SENT_ALERT,
    NEWEST_ROLLOUT,
    UPSERT_ATTEMPT,
    UPSERT_HEARTBEAT,
    UPSERT_PAUSE,
    UPSERT_ROLLOUT,
    UPSERT_STREAK,
    DaemonRun,
    Row,
    SentAlertRow,
    attempt_from,
    entry_from,
    entry_row,
    streak_from,
)
from statemachine.journal.watched import OpenFile

JOURNAL_FILE = "journal.sqlite3"
"""Name of the file in the data folder."""

PAUSES = "SELECT server, until, note, requested_by FROM pauses"
STREAKS = "SELECT server, reason, count FROM streaks"
OPEN_ATTEMPTS = "SELECT * FROM attempts WHERE outcome IN ('recorded', 'accepted')"
NEWEST_STATE = "SELECT dest FROM log WHERE server = ? AND dest IS NOT NULL ORDER BY seq DESC LIMIT 1"
FEW_SERVERS = 200


class Write(NamedTuple):
    """An entry, and rows of an attempt, a streak, a pause and a restart, or some of them.

    A `durable` one survives a power cut.
    """

    entry: LogEntry | None = None
    attempt: Row | None = None
    durable: bool = False
    streak: Row | None = None
    pause: Row | None = None
    restart: Row | None = None


class JournalStore(JournalDatabase):
    """Queries and writes of the journal, with the errors of `JournalDatabase`."""

    def __init__(self, path: Path, *, read_only: bool = False, lock: OpenFile | None = None) -> None:
        """Open the file. Unless `read_only`, create or migrate it. `lock` is that of the folder, if it is held."""
        super().__init__(path, read_only=read_only, lock=lock)
        self._run_is_recorded = False
        try:
            self._run = 0 if read_only else self.last_seq()
            """The last sequence number of the runs before this one."""
        except BaseException:
            self.close()
            raise

    def set_first_seq(self, first: int) -> None:
        """Start the sequence numbers of an empty file at `first`."""
        with self._writing():
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (first - 1,))
        self._run = first - 1

    def write(self, batch: Sequence[Write]) -> list[int | None]:
        """Commit the batch in one transaction. Return the number of each entry, None for a write without one."""
        with self._writing("FULL" if any(write.durable for write in batch) else "NORMAL"), self._transaction():
            numbers = self._put(batch)
        self._run_is_recorded = True
        for number, write in zip(numbers, batch, strict=True):
            if number is not None and write.entry is not None:
                self._newest = number, write.entry.at
        return numbers

    def _put(self, batch: Sequence[Write]) -> list[int | None]:
        """Execute few statements, because the thread competes for the interpreter after each."""
        if not self._run_is_recorded:
            self._db.execute(INSERT_RUN, (self._run,))
        numbers = self._number(batch)
        if attempts := [write.attempt for write in batch if write.attempt is not None]:
            self._db.executemany(UPSERT_ATTEMPT, attempts)
        if streaks := [write.streak for write in batch if write.streak is not None]:
            self._db.executemany(UPSERT_STREAK, streaks)
        if pauses := [write.pause for write in batch if write.pause is not None]:
            self._db.executemany(UPSERT_PAUSE, pauses)
        if restarts := [write.restart for write in batch if write.restart is not None]:
            self._db.executemany(UPSERT_RESTART, restarts)
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
        with self._writing():
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

    def open_attempts(self, servers: Collection[str] | None = None) -> list[Attempt]:
        """Return every attempt whose prompt may still be on its server, oldest first; of these servers, if given."""
        rows = self._db.execute(*_among(OPEN_ATTEMPTS, servers, " ORDER BY created_at, rowid"))
        return [attempt_from(row) for row in rows]

    def last_states(self, servers: Collection[str] | None = None) -> dict[str, str]:
        """Return the state that each server's newest transition led to; of these servers, if they are given.

        A few are looked up one by one: servers join every few seconds, and the log may have a million entries.
        """
        if servers is not None and len(servers) <= FEW_SERVERS:
            found = {name: self._db.execute(NEWEST_STATE, (name,)).fetchone() for name in servers}
            return {name: row["dest"] for name, row in found.items() if row is not None}
        rows = self._db.execute(f"SELECT server, dest FROM log WHERE seq IN ({NEWEST_TRANSITIONS})")  # noqa: S608
        return {row["server"]: row["dest"] for row in rows}

    def streaks(self, servers: Collection[str] | None = None) -> dict[str, Streak]:
        """Return each server's failures in a row; of these servers, if they are given."""
        rows = self._db.execute(*_among(STREAKS, servers))
        return {server: streak_from(reason, count) for server, reason, count in rows}

    def pauses(self, servers: Collection[str] | None = None) -> dict[str, Pause]:
        """Return the terms of each server's latest pause, which may be over; of these servers, if they are given."""
        return {server: Pause(*terms) for server, *terms in self._db.execute(*_among(PAUSES, servers))}

    def restarts(self, servers: Collection[str] | None = None) -> dict[str, Restart]:
        """Return the latest restart of each server, open or ended; of these servers, if they are given.

        One that cannot be read is not resumed.
        """
        found = (_restart_or_none(row) for row in self._db.execute(*_among(RESTARTS, servers)))
        return {restart.server: restart for restart in found if restart is not None}

    def sent_alerts(self) -> list[SentAlertRow]:
        """Return the alerts that were saved last."""
        return [SentAlertRow(*row) for row in self._db.execute("SELECT * FROM told_alerts ORDER BY rowid")]

    def save_sent_alerts(self, alerts: Sequence[SentAlertRow]) -> None:
        """Replace the saved alerts with these."""
        with self._writing(), self._transaction():
            self._db.execute("DELETE FROM told_alerts")
            self._db.executemany(INSERT_SENT_ALERT, alerts)

    def newest_rollout(self) -> str | None:
        """Return the document of the newest rolling restart, None before the first."""
        row = self._db.execute(NEWEST_ROLLOUT).fetchone()
        return row["document"] if row else None

    def save_rollout(self, run: str, started_at: float, document: str) -> None:
        """Write a rolling restart."""
        with self._writing("FULL"), self._transaction():
            self._db.execute(UPSERT_ROLLOUT, (run, started_at, document))

    def prune(self, older_than: float, keep: int, present: Collection[str] | None = None) -> int:
        """Delete entries before `older_than` (epoch seconds) and all but the newest `keep`; return how many.

        The newest transition of each server stays, because it shows whether the server is paused. With `present`, the
        names in the fleet, that of a server that left stays only as long as entries do, as do its pause, its failures
        in a row and its last restart. Open attempts stay.
        """
        with self._writing(), self._transaction():
            deleted = prune_log(self._db, older_than, self.last_seq() - keep)
            prune_by_age(self._db, older_than)
            if present is not None:
                deleted += prune_absent(self._db, older_than, present)
            self._newest = self._newest_entry()
        return deleted


def _among(query: str, servers: Collection[str] | None, order: str = "") -> tuple[str, Sequence[str]]:
    """Return the query for these servers, as long as they are few, else for all, and its parameters."""
    if servers is None or len(servers) > FEW_SERVERS:
        return query + order, ()
    marks = ", ".join("?" * len(servers))
    return f"{query} {'AND' if ' WHERE ' in query else 'WHERE'} server IN ({marks}){order}", tuple(servers)


def _restart_or_none(row: sqlite3.Row) -> Restart | None:
    try:
        return restart_from(row)
    except (ValueError, TypeError) as error:  # of a later version, or damaged
        logger.error("{}: its last restart cannot be read and is not resumed: {}", row["server"], error)
        return None
