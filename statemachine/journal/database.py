"""The journal's database: one connection to a private file, which is verified before each write."""

import ctypes
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from statemachine.journal.private import DataFolderError, narrow_file, private_file, private_folder, require_readable
from statemachine.journal.schema import migrate
from statemachine.journal.watched import SIDE_FILES, JournalFiles, OpenFile, overwritten
from statemachine.settings.running_port import LOCK_FILE

DISCOVERED_FILE = "discovered.json"
"""The last known servers of the sources; the discovery writes it."""

BUSY_MS = 500
"""How long to wait for a lock held by another program. All reads and writes wait meanwhile."""

EntryKey = tuple[int, float]
"""Number and time of an entry, by which a file is recognised."""


def belongs_to(journal: str, name: str) -> bool:
    """Return whether a name in the data folder is one of ours: the journal with all that is beside it, or another."""
    return name == LOCK_FILE or name.startswith((journal, DISCOVERED_FILE))


class JournalDatabase:
    """Methods raise sqlite3.Error or OSError if the file cannot be read or written.

    Those that write raise DataFolderError if a file is no longer the one that was opened, or was overwritten.
    """

    def __init__(self, path: Path, *, read_only: bool = False, lock: OpenFile | None = None) -> None:
        """Open the file. Unless `read_only`, create or migrate it. `lock` is that of the folder, if it is held."""
        self._path = path
        self._files: JournalFiles | None = None
        self._newest: EntryKey | None = None
        self._level = ""
        if read_only:
            require_readable(path)
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        else:
            _make_private(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                migrate(self._db)
                self._newest = self._newest_entry()
                self._files = JournalFiles(path, lock)
        except BaseException:
            self._db.close()
            raise
        self._db.row_factory = sqlite3.Row
        self._db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    def close(self) -> None:
        """Close the file."""
        try:
            self.verify()
        except (DataFolderError, OSError):
            # SQLite would remove side files by their names, which may be another daemon's by now: never close it.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._db))
            return
        self._db.close()
        if self._files is not None:
            self._files.close()
            self._files = None

    def verify(self) -> None:
        """Raise DataFolderError unless the files are those that were opened, with what this store has written."""
        if self._files is None:
            return
        self._files.check()
        self._files.restore_index()
        if self._files.is_changed():
            self._inspect()
            self._files.note()

    def _inspect(self) -> None:
        """Read the file without this connection's cache, after another program has written to it."""
        try:
            with closing(JournalDatabase(self._path, read_only=True)) as fresh:
                is_ours = fresh.is_intact() and fresh.has_entry(self._newest)
        except sqlite3.DatabaseError:
            is_ours = False
        if not is_ours:
            raise overwritten(self._path)

    def _newest_entry(self) -> EntryKey | None:
        row = self._db.execute("SELECT seq, at FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], row[1]) if row else None

    def has_entry(self, key: EntryKey | None) -> bool:
        """Return whether the file has the entry with this number and time; True without a key."""
        return key is None or self._db.execute("SELECT 1 FROM log WHERE (seq, at) = (?, ?)", key).fetchone() is not None

    @contextmanager
    def _writing(self, level: str = "NORMAL") -> Iterator[None]:
        """Verify the files before a write, and remember how it has left them."""
        self.verify()
        self._set_synchronous(level)
        try:
            yield
        finally:
            if self._files is not None:
                self._files.note()

    def restore_index(self) -> None:
        """Repair what would end the process at the next access to the file."""
        if self._files is not None:
            self._files.restore_index()

    def test_write(self) -> None:
        """Write without changing anything. Raise the error that a real write would raise."""
        with self._writing():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            self._db.execute(f"PRAGMA user_version = {version}")

    @property
    def lineage(self) -> int:
        """Identify the shared log that the file copies; 0 if the file has its own numbers."""
        return int(self._db.execute("PRAGMA application_id").fetchone()[0])

    @lineage.setter
    def lineage(self, lineage: int) -> None:
        with self._writing():
            self._db.execute(f"PRAGMA application_id = {lineage}")

    def is_intact(self) -> bool:
        """Return whether SQLite finds no damage in the file."""
        try:
            return bool(self._db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        except sqlite3.DatabaseError:
            return False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block writes, unless a file has been taken away meanwhile."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if self._files is not None:
                self._files.check()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise

    def _set_synchronous(self, level: str) -> None:
        if level != self._level:
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._level = level


def _make_private(path: Path) -> None:
    private_folder(path.parent, partial(belongs_to, path.name))
    for suffix in SIDE_FILES[1:]:
        narrow_file(path.with_name(path.name + suffix))
    private_file(path)
