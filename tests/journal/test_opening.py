"""Opening the journal: unusable files are set aside, and no number is given twice."""

import sqlite3
from pathlib import Path

import pytest

from statemachine.i18n.render import sentence
from statemachine.journal.opening import open_store
from statemachine.journal.schema import MIGRATIONS, SchemaTooNewError
from statemachine.journal.store import JournalStore
from tests.journal.samples import entry, written

NOW = 1_767_225_600.0


def open_at(path: Path) -> JournalStore:
    return open_store(path, lambda: NOW)


def test_open_store_of_intact_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    for expected in (1, 2):
        store = open_at(path)
        assert written(store, entry()) == [expected]
        store.close()
    assert [one.name for one in tmp_path.iterdir()] == ["j.sqlite3"]


def damaged(path: Path) -> bytes:
    """Create a journal, overwrite its middle and return its bytes."""
    store = JournalStore(path)
    written(store, *[entry("x" * 500) for _ in range(200)])
    store.close()
    content = bytearray(path.read_bytes())
    content[5_000:60_000] = b"\xa5" * 55_000
    path.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize("kind", ["garbage", "overwritten"])
def test_open_store_of_damaged_file_sets_it_aside(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "j.sqlite3"
    before = damaged(path)
    if kind == "garbage":
        path.write_bytes(before := b"this is not a database" * 100)
    store = open_at(path)
    assert store.page_after(0, 9).entries == []
    (old,) = [one for one in tmp_path.iterdir() if ".damaged-" in one.name and not one.name.endswith(("-wal", "-shm"))]
    assert old.read_bytes() == before
    (number,) = written(store, entry())
    assert number is not None
    assert number > 200
    store.close()
    store = open_at(path)
    assert store.last_seq() == number
    store.close()


def test_open_store_of_newer_schema_raises(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    JournalStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(SchemaTooNewError):
        open_at(path)
    assert [one.name for one in tmp_path.iterdir() if "damaged" in one.name] == []


def test_open_store_of_folder_raises(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite3").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        open_at(tmp_path / "j.sqlite3")
    assert (tmp_path / "j.sqlite3").is_dir()


def test_open_store_of_file_in_use_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    holder = JournalStore(path)
    written(holder, entry("kept"))
    reader = open_at(path)
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["kept"]
    reader.close()
    holder.close()


def copy_of(lineage: int, path: Path, *numbers: int) -> None:
    store = open_store(path, lambda: NOW, lineage)
    written(store, *[entry(f"{lineage}").numbered(number) for number in numbers])
    store.close()


def set_aside(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if one.name.startswith("j.sqlite3.")]


def test_open_store_of_copy_with_same_lineage_keeps_it(tmp_path: Path) -> None:
    copy_of(7, tmp_path / "j.sqlite3", 1, 2, 5)
    store = open_store(tmp_path / "j.sqlite3", lambda: NOW, 7)
    assert (store.last_seq(), store.lineage) == (5, 7)
    store.close()
    assert set_aside(tmp_path) == []


def test_open_store_of_copy_with_other_lineage_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    copy_of(7, path, 1, 2, 5)
    store = open_store(path, lambda: NOW, 8)
    assert (store.last_seq(), store.lineage) == (0, 8)
    store.close()
    assert [name for name in set_aside(tmp_path) if "other-log" in name]


def test_open_store_of_own_log_as_copy_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    copy_of(0, path, 1)
    store = open_store(path, lambda: NOW, 7)
    assert store.last_seq() == 0
    store.close()
    assert [name for name in set_aside(tmp_path) if "other-log" in name]


def test_open_store_of_copy_as_own_log_continues_numbers(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    copy_of(7, path, 1, 2, 5)
    store = open_at(path)
    assert (written(store, entry()), store.lineage) == ([6], 0)
    store.close()
    assert set_aside(tmp_path) == []


def test_open_store_of_damaged_copy_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    damaged(path)
    store = open_store(path, lambda: NOW, 7)
    assert (store.last_seq(), store.lineage) == (0, 7)
    store.close()
    assert [name for name in set_aside(tmp_path) if "damaged" in name]
