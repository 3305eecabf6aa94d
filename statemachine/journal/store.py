"""The journal's file: synchronous, one connection, one thread at a time.

WAL with `synchronous=NORMAL` keeps every committed entry through a SIGKILL; what must also outlive a power cut (an
attempt before its POST) is committed with `synchronous=FULL`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from loguru import logger

from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.journal.pages import Page, page_after, page_before
from statemachine.journal.rows import (
    BEAT,
    INSERT_ENTRY,
    INSERT_LIFE,
    INSERT_TOLD_ALERT,
    PRUNE_LIVES,
    UPSERT_ATTEMPT,
    DaemonRun,
    Row,
    SentAlertRow,
    attempt_from,
    entry_from,
    entry_row,
)
from statemachine.journal.schema import migrate

JOURNAL_FILE = "journal.sqlite3"
"""Its name within the data folder."""

BUSY_MS = 500
"""How long to wait for another program's lock. Reads and writes share a thread, so this delays all that is told."""

NEWEST_TRANSITIONS = "SELECT max(seq) FROM log WHERE dest IS NOT NULL GROUP BY server"


class Write(NamedTuple):
    """An entry, an attempt's row, or both, committed together. `durable`: on the disk, not only with the kernel."""

    entry: LogEntry | None
    attempt: Row | None
    durable: bool = False


class JournalStore:
    """Raises sqlite3.Error or OSError where the file cannot be read or written."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file; unless `read_only`, make or migrate it."""
        if read_only:
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._life = 0 if read_only else self._prepare()
        except BaseException:
            self._db.close()
            raise
        self._life_is_noted = False
        self._level = ""
        self._db.row_factory = sqlite3.Row
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def _prepare(self) -> int:
        """Migrate the file; return the number of its last entry."""
        self._db.execute("PRAGMA journal_mode = WAL")
        migrate(self._db)
        return self.last_seq()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def try_writing(self) -> None:
        """Write without changing anything: raises where a write would."""
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        self._db.execute(f"PRAGMA user_version = {version}")

    @property
    def lineage(self) -> int:
        """Which log the entries' numbers are of: 0 where they are this file's own."""
        return int(self._db.execute("PRAGMA application_id").fetchone()[0])

    @lineage.setter
    def lineage(self, lineage: int) -> None:
        self._db.execute(f"PRAGMA application_id = {lineage}")

    def number_from(self, first: int) -> None:
        """Give no number below `first`, in a file that has given none yet."""
        self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (first - 1,))
        self._life = first - 1

    def is_sound(self) -> bool:
        """Whether SQLite finds no damage in the file."""
        try:
            return bool(self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False

    def write(self, batch: Sequence[Write]) -> list[int | None]:
        """Commit the batch as one; the number of each write's entry, None where it had none."""
        self._sync("FULL" if any(write.durable for write in batch) else "NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            numbers = self._put(batch)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        self._life_is_noted = True
        return numbers

    def _sync(self, level: str) -> None:
        """See SQLite's `PRAGMA synchronous`."""
        if level != self._level:
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._level = level

    def _put(self, batch: Sequence[Write]) -> list[int | None]:
        """Few statements: at the end of each, this thread waits for the interpreter, and whoever is told waits too."""
        if not self._life_is_noted:
            self._db.execute(INSERT_LIFE, (self._life,))
        numbers = self._number(batch)
        if attempts := [write.attempt for write in batch if write.attempt is not None]:
            self._db.executemany(UPSERT_ATTEMPT, attempts)
        rows = [(number, *entry_row(write.entry)) for number, write in zip(numbers, batch, strict=True) if write.entry]
        self._db.executemany(INSERT_ENTRY, rows)
        return numbers

    def _number(self, batch: Sequence[Write]) -> list[int | None]:
        """The numbers that the entries of the batch get, but for those of a shared log, which have theirs.

        Nobody else can give one before it is committed.
        """
        free = count(self.last_seq() + 1)
        return [None if write.entry is None else write.entry.seq or next(free) for write in batch]

    def last_seq(self) -> int:
        """The highest number ever given, 0 before the first; it survives pruning."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        return row[0] if row else 0

    def heartbeat(self, at: float) -> None:
        """Note that the daemon which opened this store ran at `at` (epoch seconds)."""
        self._sync("NORMAL")
        self._db.execute(BEAT, (self._life, at))

    def runs(self, after: int) -> list[DaemonRun]:
        """The daemon's lives with an `after_seq` above `after`, oldest first; this store's own is always the last."""
        rows = self._db.execute("SELECT * FROM lives WHERE after_seq > ? ORDER BY after_seq", (after,))
        lives = [DaemonRun(row["after_seq"], row["seen_at"]) for row in rows]
        told = bool(lives) and lives[-1].after_seq == self._life
        return lives if told or self._life <= after else [*lives, DaemonRun(self._life, 0.0)]

    def page_after(self, after: int, limit: int, wanted: LogFilter = EVERYTHING) -> Page:
        """The oldest `limit` wanted entries with a number above `after`, oldest first."""
        return page_after(self._db, after, limit, wanted)

    def page_before(self, before: int, limit: int, wanted: LogFilter = EVERYTHING, after: int = 0) -> Page:
        """The newest `limit` wanted entries with a number below `before` and above `after`, newest first."""
        return page_before(self._db, before, limit, wanted, after)

    def newest_entries(self, server: str, limit: int) -> list[LogEntry]:
        """The newest `limit` entries of one server, newest first."""
        rows = self._db.execute("SELECT * FROM log WHERE server = ? ORDER BY seq DESC LIMIT ?", (server, limit))
        return [entry_from(row) for row in rows]

    def has_server(self, name: str) -> bool:
        """Whether the log has any entry of a server, also of one that is no more in the fleet."""
        return self._db.execute("SELECT 1 FROM log WHERE server = ? LIMIT 1", (name,)).fetchone() is not None

    def newest_attempts(self, server: str, limit: int) -> list[Attempt]:
        """The newest `limit` attempts on one server, newest first."""
        rows = self._db.execute(
            "SELECT * FROM attempts WHERE server = ? ORDER BY created_at DESC, rowid DESC LIMIT ?", (server, limit)
        )
        return [attempt_from(row) for row in rows]

    def open_attempts(self) -> list[Attempt]:
        """Every attempt whose prompt may be with its server, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM attempts WHERE outcome IN ('recorded', 'accepted') ORDER BY created_at, rowid"
        )
        return [attempt_from(row) for row in rows]

    def last_states(self) -> dict[str, str]:
        """The state that each server's newest transition led to."""
        rows = self._db.execute(f"SELECT server, dest FROM log WHERE seq IN ({NEWEST_TRANSITIONS})")  # noqa: S608
        return {row["server"]: row["dest"] for row in rows}

    def sent_alerts(self) -> list[SentAlertRow]:
        """The alerts that were told and not over when they were last kept."""
        return [SentAlertRow(*row) for row in self._db.execute("SELECT * FROM told_alerts ORDER BY rowid")]

    def save_sent_alerts(self, alerts: Sequence[SentAlertRow]) -> None:
        """Keep these, and no others."""
        self._sync("NORMAL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("DELETE FROM told_alerts")
            self._db.executemany(INSERT_TOLD_ALERT, alerts)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise

    def prune(self, older_than: float, keep: int) -> int:
        """Delete entries before `older_than` (epoch seconds) and all but the newest `keep`; how many went.

        The newest transition of a server stays: it says whether the operator has paused it. Ended attempts go by age;
        open ones never. Lives go by age too, but for the last of the old ones: entries that stay may be its own.
        """
        self._sync("NORMAL")
        gone = self._db.execute(
            f"DELETE FROM log WHERE (at < ? OR seq <= ?) AND seq NOT IN ({NEWEST_TRANSITIONS})",  # noqa: S608
            (older_than, self.last_seq() - keep),
        ).rowcount
        self._db.execute("DELETE FROM attempts WHERE ended_at < ?", (older_than,))
        self._db.execute(PRUNE_LIVES, (older_than,))
        return gone


SIDE_FILES = ("", "-wal", "-shm")


def open_store(path: Path, now: Callable[[], float], lineage: int = 0) -> JournalStore:
    """The store at `path`, whose numbers are of that lineage (0: its own). Raises sqlite3.Error, OSError or
    SchemaTooNewError where it cannot be had.

    Numbers that were given in a damaged file must not be given again: a new file's own begin at the present time in
    milliseconds, which is above any count of entries. A copy of another log begins at that log's beginning. Who goes on
    alone with a copy numbers on from its end.
    """
    try:
        store = JournalStore(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        store = _begin_anew(path, now, f"is damaged ({error})", "damaged", lineage)
    else:
        if not store.is_sound():
            store.close()
            store = _begin_anew(path, now, "is damaged (its check fails)", "damaged", lineage)
        elif lineage and store.lineage != lineage and store.last_seq():
            store.close()
            store = _begin_anew(path, now, "is of another log than the cluster's", "other-log", lineage)
    store.lineage = lineage
    return store


def _begin_anew(path: Path, now: Callable[[], float], why: str, label: str, lineage: int) -> JournalStore:
    stamp = int(now() * 1000)
    for suffix in SIDE_FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.{label}-{stamp}{suffix}"))
    logger.error("the journal {} {}; it was set aside and a new one is begun", path, why)
    store = JournalStore(path)
    if not lineage:
        store.number_from(stamp)
    return store
