"""The journal's file: synchronous, one connection, one thread at a time.

WAL with `synchronous=NORMAL` keeps every committed entry through a SIGKILL; what must also outlive a power cut (an
attempt before its POST) is committed with `synchronous=FULL`.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statemachine.core.attempt import Attempt
from statemachine.core.log import LogEntry
from statemachine.journal.rows import INSERT_ENTRY, UPSERT_ATTEMPT, Row, attempt_from, entry_from, entry_row
from statemachine.journal.schema import migrate

JOURNAL_FILE = "journal.sqlite3"
"""Its name within the data folder."""

BUSY_MS = 500
"""How long to wait for another program's lock. Reads and writes share a thread, so this delays all that is told."""

NEWEST_TRANSITIONS = "SELECT max(seq) FROM log WHERE dest IS NOT NULL GROUP BY server"


@dataclass(frozen=True, slots=True)
class Write:
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
            self._db.execute("PRAGMA journal_mode = WAL")
            migrate(self._db)
        self._db.row_factory = sqlite3.Row
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def try_writing(self) -> None:
        """Write without changing anything: raises where a write would."""
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        self._db.execute(f"PRAGMA user_version = {version}")

    def number_from(self, first: int) -> None:
        """Give no number below `first`, in a file that has given none yet."""
        self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (first - 1,))

    def is_sound(self) -> bool:
        """Whether SQLite finds no damage in the file."""
        try:
            return bool(self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False

    def write(self, batch: Sequence[Write]) -> list[int | None]:
        """Commit the batch as one; the number of each write's entry, None where it had none."""
        level = "FULL" if any(write.durable for write in batch) else "NORMAL"
        self._db.execute(f"PRAGMA synchronous = {level}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            numbers = [self._put(write) for write in batch]
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        return numbers

    def _put(self, write: Write) -> int | None:
        if write.attempt is not None:
            self._db.execute(UPSERT_ATTEMPT, write.attempt)
        if write.entry is None:
            return None
        return self._db.execute(INSERT_ENTRY, entry_row(write.entry)).lastrowid

    def last_seq(self) -> int:
        """The highest number ever given, 0 before the first; it survives pruning."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        return row[0] if row else 0

    def entries(self, after: int, limit: int, server: str | None = None) -> list[LogEntry]:
        """The oldest `limit` entries with a number above `after`, oldest first."""
        return self._entries(server, "seq > ? ORDER BY seq LIMIT ?", (after, limit))

    def newest_entries(self, limit: int, server: str | None = None, since: float = 0.0) -> list[LogEntry]:
        """The newest `limit` entries not older than `since` (epoch seconds), newest first."""
        return self._entries(server, "at >= ? ORDER BY seq DESC LIMIT ?", (since, limit))

    def _entries(self, server: str | None, condition: str, values: Row) -> list[LogEntry]:
        """One condition for all, and one more where a server is named: an `OR` would keep SQLite from its index."""
        if server is None:
            rows = self._db.execute(f"SELECT * FROM log WHERE {condition}", values)  # noqa: S608
        else:
            rows = self._db.execute(f"SELECT * FROM log WHERE server = ? AND {condition}", (server, *values))  # noqa: S608
        return [entry_from(row) for row in rows]

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

    def prune(self, older_than: float, keep: int) -> int:
        """Delete entries before `older_than` (epoch seconds) and all but the newest `keep`; how many went.

        The newest transition of a server stays: it says whether the operator has paused it. Ended attempts go by age;
        open ones never.
        """
        self._db.execute("PRAGMA synchronous = NORMAL")
        gone = self._db.execute(
            f"DELETE FROM log WHERE (at < ? OR seq <= ?) AND seq NOT IN ({NEWEST_TRANSITIONS})",  # noqa: S608
            (older_than, self.last_seq() - keep),
        ).rowcount
        self._db.execute("DELETE FROM attempts WHERE ended_at < ?", (older_than,))
        return gone
