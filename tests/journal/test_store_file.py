"""The file of the journal: runs of the daemon, migration, and read-only access."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.repetition import Streak
from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Reason
from statemachine.i18n.render import sentence
from statemachine.journal.rows import DaemonRun
from statemachine.journal.schema import MIGRATIONS, SchemaTooNewError
from statemachine.journal.store import JournalStore
from tests.journal.samples import attempt, entry, written

# Runs of the daemon.


def reopened(path: Path, store: JournalStore) -> JournalStore:
    store.close()
    return JournalStore(path)


def test_runs_start_after_last_number_of_previous_run(store: JournalStore, path: Path) -> None:
    assert store.runs(-1) == [DaemonRun(0, 0.0)]
    written(store, entry(), entry())
    store.heartbeat(150.0)
    store = reopened(path, store)
    assert store.runs(-1) == [DaemonRun(0, 150.0), DaemonRun(2, 0.0)]
    written(store, entry())
    store.heartbeat(300.0)
    assert store.runs(-1) == [DaemonRun(0, 150.0), DaemonRun(2, 300.0)]
    assert store.runs(0) == [DaemonRun(2, 300.0)]
    assert store.runs(2) == []
    store.close()


def test_runs_with_heartbeats_only_are_merged(store: JournalStore, path: Path) -> None:
    written(store, entry())
    store = reopened(path, store)
    store.heartbeat(200.0)
    store = reopened(path, store)
    written(store, entry())
    store = reopened(path, store)
    assert [run.after_seq for run in store.runs(-1)] == [0, 1, 2]
    store.close()


def test_runs_without_heartbeat_start_with_first_entry(store: JournalStore, path: Path) -> None:
    written(store, entry())
    store = reopened(path, store)
    written(store, entry())
    store = reopened(path, store)
    assert store.runs(-1) == [DaemonRun(0, 0.0), DaemonRun(1, 0.0), DaemonRun(2, 0.0)]
    store.close()


def test_prune_keeps_newest_old_run(store: JournalStore, path: Path) -> None:
    for seen_at in (100.0, 200.0, 300.0, 900.0):
        written(store, entry())
        store.heartbeat(seen_at)
        store = reopened(path, store)
    store.prune(older_than=400.0, keep=1_000)
    assert store.runs(-1) == [DaemonRun(2, 300.0), DaemonRun(3, 900.0), DaemonRun(4, 0.0)]
    store.close()


# The file.


def test_store_of_newer_schema_raises(path: Path) -> None:
    JournalStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(SchemaTooNewError, match=f"schema {len(MIGRATIONS) + 1}"):
        JournalStore(path)


def test_store_of_damaged_file_closes_it(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        JournalStore(path)
    assert str(path) not in {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}


def test_store_of_older_schema_reads_and_updates_attempt(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with sqlite3.connect(path) as connection:
        for number, script in enumerate(MIGRATIONS[:3], 1):
            connection.executescript(f"{script} PRAGMA user_version = {number};")
        values = "'p', 'a', 'w', 100.0, 'c', 'p', 'accepted', 101.0, NULL, NULL, 0, ''"
        connection.execute(f"INSERT INTO attempts VALUES ({values})")
    connection.close()
    store = JournalStore(path)
    (one,) = store.open_attempts()
    assert (one.prompt_id, one.accepted_at, one.instance) == ("p", 101.0, None)
    one.outcome, one.ended_at = Outcome.LOST, 102.0
    written(store, one, attempt("q"))
    assert [back.prompt_id for back in store.open_attempts()] == ["q"]
    store.close()


def test_store_of_older_schema_keeps_failures_of_its_log(path: Path) -> None:
    """Until version 5 the last failure of a server was read from the log."""
    path.parent.mkdir(exist_ok=True)
    log = {
        "dead": [("failed", "warm_up_ends_server"), ("unreachable", "not_answering")],
        "raising": [("failed", "prompt_failed")],
        "warm": [("failed", "prompt_lost"), ("loaded", "all_cached")],
        "asked": [("failed", "prompt_lost"), ("unknown", "warm_requested")],
    }
    with sqlite3.connect(path) as connection:
        connection.executescript("".join(MIGRATIONS[:5]) + "PRAGMA user_version = 5;")
        rows = [(server, *step) for server, steps in log.items() for step in steps]
        insert = "INSERT INTO log (at, kind, server, dest, reason, message) VALUES (1.0, 'transition', ?, ?, ?, '')"
        connection.executemany(insert, rows)
    connection.close()
    store = JournalStore(path)
    assert store.streaks() == {
        "dead": Streak(Reason.WARM_UP_ENDS_SERVER, 3),
        "raising": Streak(Reason.PROMPT_FAILED, 1),
    }
    store.close()


def test_store_opened_twice_is_migrated_once(path: Path) -> None:
    for _ in range(2):
        store = JournalStore(path)
        written(store, entry())
        store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


def test_read_only_store_sees_writes_and_cannot_write(store: JournalStore, path: Path) -> None:
    written(store, entry("one"))
    reader = JournalStore(path, read_only=True)
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["one"]
    written(store, entry("two"))
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["one", "two"]
    with pytest.raises(sqlite3.OperationalError):
        written(reader, entry("three"))
    reader.close()


def test_read_only_store_without_writer_reads(path: Path) -> None:
    store = JournalStore(path)
    written(store, entry("one"))
    store.close()
    reader = JournalStore(path, read_only=True)
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["one"]
    reader.close()


def test_read_only_store_creates_no_file(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        JournalStore(path, read_only=True)
    assert not path.exists()


def test_write_is_visible_without_closing(store: JournalStore, path: Path) -> None:
    """Another connection reads the file without a close, as after a SIGKILL."""
    written(store, attempt(), durable=True)
    found: list[int] = []

    def read() -> None:
        reader = JournalStore(path, read_only=True)
        found.append(len(reader.open_attempts()))
        reader.close()

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(10)
    assert found == [1]


def test_page_returns_entry_with_unknown_reason(store: JournalStore) -> None:
    kept = entry()._replace(reason="a_reason_of_next_year")
    written(store, kept)
    (back,) = store.page_after(0, 9).entries
    assert isinstance(back, LogEntry)
    assert (back.kind, back.reason) == (EntryKind.TRANSITION, "a_reason_of_next_year")
