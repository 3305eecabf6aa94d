"""Files taken away, replaced, overwritten or truncated while the journal is open are noticed before a write."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from statemachine.daemon.process import hold_lock
from statemachine.journal.opening import open_store
from statemachine.journal.private import DataFolderError
from statemachine.journal.store import JOURNAL_FILE, JournalStore
from statemachine.settings.running_port import LOCK_FILE
from tests.journal.samples import attempt, entry, written

WAL, INDEX = f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}-shm"


@contextmanager
def opened(folder: Path) -> Iterator[JournalStore]:
    """Yield a store with entries, over a folder whose lock is held."""
    with hold_lock(folder) as lock:
        store = open_store(folder / JOURNAL_FILE, lambda: 1.0, lock=lock)
        written(store, *[entry("x" * 500) for _ in range(20)])
        yield store
        store.close()


def other_journal(folder: Path) -> Path:
    """Return the journal of another daemon, as long as ours."""
    path = folder.with_name("other") / JOURNAL_FILE
    with closing(JournalStore(path)) as store:
        written(store, *[entry("y" * 500, at=7.0) for _ in range(20)])
    return path


def overwrite(path: Path, content: bytes) -> None:
    """Replace the content of the same file."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def replace_folder(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.mkdir()


def replace_folder_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def replace_lock(folder: Path) -> None:
    (folder / LOCK_FILE).unlink()
    (folder / LOCK_FILE).touch()


def replace_with_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "folder-removed": shutil.rmtree,
    "folder-moved": lambda folder: folder.rename(folder.with_name("moved")),
    "folder-replaced": replace_folder,
    "folder-a-file": replace_folder_by_file,
    "lock-removed": lambda folder: (folder / LOCK_FILE).unlink(),
    "lock-replaced": replace_lock,
    "journal-removed": lambda folder: (folder / JOURNAL_FILE).unlink(),
    "journal-linked": lambda folder: replace_with_link(folder / JOURNAL_FILE),
    "journal-renamed-over": lambda folder: other_journal(folder).rename(folder / JOURNAL_FILE),
    "journal-emptied": lambda folder: overwrite(folder / JOURNAL_FILE, b""),
    "journal-garbage": lambda folder: overwrite(folder / JOURNAL_FILE, b"garbage" * 9000),
    "journal-of-another": lambda folder: overwrite(folder / JOURNAL_FILE, other_journal(folder).read_bytes()),
    "wal-removed": lambda folder: (folder / WAL).unlink(),
    "wal-emptied": lambda folder: overwrite(folder / WAL, b""),
    "index-removed": lambda folder: (folder / INDEX).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_write_to_files_taken_away_raises(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    folder = tmp_path / "data"
    with opened(folder) as store:
        store.verify()
        damage(folder)
        for act in (store.verify, store.test_write, lambda: written(store, attempt(), durable=True)):
            with pytest.raises(DataFolderError, match="data"):
                act()


def test_overwritten_middle_is_noticed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        written(store, *[entry("x" * 4000) for _ in range(1200)])
        content = bytearray((tmp_path / JOURNAL_FILE).read_bytes())
        assert len(content) > 4_000_000, "SQLite has not moved the entries into the journal"
        content[8192:] = b"\xa5" * len(content[8192:])
        overwrite(tmp_path / JOURNAL_FILE, bytes(content))
        with pytest.raises(DataFolderError, match="overwritten"):
            store.verify()


def test_other_connections_may_read_and_write(tmp_path: Path) -> None:
    """A backup and a reader change nothing; another writer is noticed, and its change is accepted."""
    with opened(tmp_path) as store:
        with closing(JournalStore(tmp_path / JOURNAL_FILE, read_only=True)) as reader:
            assert reader.last_seq() == 20
        store.verify()
        with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as other, closing(sqlite3.connect(":memory:")) as copy:
            other.backup(copy)
            store.verify()
            other.execute("DELETE FROM log WHERE seq = 1")
            other.commit()
            store.verify()
        assert written(store, entry()) == [21]


def test_files_that_come_back_unchanged_are_used_again(tmp_path: Path) -> None:
    folder, moved = tmp_path / "data", tmp_path / "moved"
    with opened(folder) as store:
        folder.rename(moved)
        with pytest.raises(DataFolderError, match="moved away"):
            store.verify()
        moved.rename(folder)
        store.verify()
        assert written(store, entry()) == [21]


def test_journal_used_by_another_daemon_meanwhile_needs_a_restart(tmp_path: Path) -> None:
    """The lock was away, so another daemon may have submitted; what it recorded is only read at the start."""
    with opened(tmp_path) as store:
        lock = (tmp_path / LOCK_FILE).rename(tmp_path / "kept")
        with pytest.raises(DataFolderError):
            store.verify()
        with hold_lock(tmp_path) as second:
            other = open_store(tmp_path / JOURNAL_FILE, lambda: 1.0, lock=second)
            written(other, attempt("other"), durable=True)
            lock.replace(tmp_path / LOCK_FILE)
            with pytest.raises(DataFolderError, match="changed it meanwhile"):
                store.verify()
            with pytest.raises(DataFolderError, match="no longer the file"):
                other.verify()
            other.close()


def test_truncated_index_is_rebuilt(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        os.truncate(tmp_path / INDEX, 0)
        store.verify()
        assert written(store, entry()) == [21]


def test_folder_that_is_gone_is_not_created_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with hold_lock(folder) as lock:
        shutil.rmtree(folder)
        with pytest.raises(DataFolderError, match="deleted"):
            open_store(folder / JOURNAL_FILE, lambda: 1.0, lock=lock)
    assert not folder.exists()


def test_close_leaves_the_files_of_another_daemon(tmp_path: Path) -> None:
    """SQLite removes side files by their names when the last connection is closed."""
    folder = tmp_path / "data"
    with opened(folder) as first:
        shutil.rmtree(folder)
        with opened(folder) as second:
            first.close()
            assert (folder / WAL).exists()
            second.verify()
