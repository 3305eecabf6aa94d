"""The journal's file: numbers for ever, attempts as they stand, and what pruning may take."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.core.attempt import Attempt, Outcome
from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.rows import DaemonRun
from statemachine.journal.schema import MIGRATIONS, SchemaTooNewError
from statemachine.journal.store import JournalStore
from tests.journal.samples import attempt, entry, notice, written

FILE = "data/journal.sqlite3"
NO_TIME = entry(at=float("nan"))
"""SQLite keeps no NaN, and takes it for NULL."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


@pytest.fixture
def store(path: Path) -> Iterator[JournalStore]:
    opened = JournalStore(path)
    yield opened
    opened.close()


def same(one: Attempt, other: Attempt) -> bool:
    """Whether what the journal keeps of two attempts is equal."""
    kept = ("server", "workflow", "prompt_id", "created_at", "client_id", "server_prompt_id", "outcome", "accepted_at",
            "ended_at", "confirmed_by", "varied_tag", "message", "instance")  # fmt: skip
    return all(getattr(one, name) == getattr(other, name) for name in kept)


# Numbers.


def test_numbers_grow_and_belong_to_entries_only(store: JournalStore) -> None:
    assert store.last_seq() == 0
    assert written(store, entry(), attempt(), notice(), entry()) == [1, None, 2, 3]
    assert store.last_seq() == 3


def test_numbers_survive_reopening(path: Path) -> None:
    for expected in ([1, 2], [3, 4]):
        store = JournalStore(path)
        assert written(store, entry(), entry()) == expected
        store.close()


def test_numbers_are_never_given_twice_even_when_all_is_pruned(path: Path) -> None:
    store = JournalStore(path)
    written(store, notice(), notice(), notice())
    assert store.prune(older_than=1e9, keep=0) == 3
    assert store.page_after(0, 10).entries == []
    assert store.last_seq() == 3
    store.close()
    store = JournalStore(path)
    assert store.last_seq() == 3
    assert written(store, notice()) == [4]
    store.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["write", "prune", "reopen", "fail"]), max_size=12))
def test_no_history_of_a_file_gives_a_told_number_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite3"
    store, told = JournalStore(path), list[int | None]()
    for step in steps:
        if step == "write":
            told += written(store, entry(), notice())
        elif step == "prune":
            store.prune(older_than=1e9, keep=0)
        elif step == "reopen":
            store.close()
            store = JournalStore(path)
        else:
            with pytest.raises(sqlite3.IntegrityError):
                written(store, entry(), NO_TIME)
    store.close()
    numbers = [number for number in told if number is not None]
    assert len(numbers) == len(told)
    assert all(earlier < later for earlier, later in pairwise(numbers))


def test_a_batch_is_written_whole_or_not_at_all(store: JournalStore) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        written(store, entry("first"), attempt(), NO_TIME)
    assert store.page_after(0, 10).entries == []
    assert store.open_attempts() == []
    assert len(written(store, entry())) == 1


# Reading entries.


def test_entries_come_back_as_they_were_with_their_numbers(store: JournalStore) -> None:
    kept = [entry("缓存"), notice(), entry(server="b", dest=State.PAUSED)]
    written(store, *kept)
    assert store.page_after(0, 10).entries == [one.numbered(number) for number, one in enumerate(kept, 1)]


def test_the_newest_entries_of_one_server_come_newest_first(store: JournalStore) -> None:
    written(store, *[entry(str(number), server="ab"[number % 2]) for number in range(6)])
    assert [one.seq for one in store.newest_entries("a", 2)] == [5, 3]
    assert store.newest_entries("c", 2) == []


def test_a_server_with_a_past_is_known(store: JournalStore) -> None:
    written(store, entry(server="a"), notice())
    assert store.has_server("a")
    assert not store.has_server("b")


# Attempts.


def test_an_attempt_is_kept_as_it_stands_now(store: JournalStore) -> None:
    one = attempt()
    written(store, one)
    one.outcome, one.server_prompt_id, one.accepted_at = Outcome.ACCEPTED, "theirs", 101.0
    written(store, one)
    (back,) = store.open_attempts()
    assert same(back, one)
    one.outcome, one.ended_at, one.confirmed_by, one.message = Outcome.FAILED, 102.0, Source.HISTORY, verbatim("raised")
    written(store, one)
    (back,) = store.newest_attempts("a", 10)
    assert same(back, one)


def test_open_attempts_are_those_that_may_be_in_flight_oldest_first(store: JournalStore) -> None:
    for number, outcome in enumerate(Outcome):
        written(store, attempt(outcome.value, at=100.0 - number, outcome=outcome))
    assert [one.prompt_id for one in store.open_attempts()] == ["accepted", "recorded"]


def test_the_newest_attempts_of_one_server(store: JournalStore) -> None:
    written(store, *[attempt(f"p{number}", server="ab"[number % 2], at=100.0 + number // 4) for number in range(8)])
    assert [one.prompt_id for one in store.newest_attempts("a", 3)] == ["p6", "p4", "p2"]


def test_an_attempt_read_back_is_open_and_without_figures(store: JournalStore) -> None:
    written(store, attempt())
    (back,) = store.open_attempts()
    assert back.is_open
    assert (back.total_nodes, back.progress, back.cached_nodes) == (0, 0.0, ())


# What the next start must know.


def test_the_last_state_of_each_server(store: JournalStore) -> None:
    written(store, entry(server="a"), entry(server="b", dest=State.PAUSED), entry(server="a", dest=State.LOADED))
    assert store.last_states() == {"a": "loaded", "b": "paused"}


def test_a_notice_about_a_server_is_no_state_of_it(store: JournalStore) -> None:
    written(store, entry(server="a", dest=State.PAUSED), notice(server="a"), notice())
    assert store.last_states() == {"a": "paused"}


@pytest.mark.parametrize(("older_than", "keep"), [(1e9, 1_000), (0.0, 0), (1e9, 0)])
def test_pruning_does_not_forget_that_a_server_is_paused(store: JournalStore, older_than: float, keep: int) -> None:
    written(store, entry(server="a", dest=State.COLD), entry(server="a", dest=State.PAUSED))
    written(store, *[notice() for _ in range(5)])
    assert store.prune(older_than, keep) > 0
    assert store.last_states() == {"a": "paused"}


def test_pruning_goes_by_age_and_by_number(store: JournalStore) -> None:
    written(store, *[notice(str(number), at=100.0 + number) for number in range(10)])
    assert store.prune(older_than=103.0, keep=1_000) == 3
    assert store.prune(older_than=0.0, keep=4) == 3
    assert [sentence(one.message) for one in store.page_after(0, 99).entries] == ["6", "7", "8", "9"]


def test_pruning_takes_old_attempts_that_ended_and_never_open_ones(store: JournalStore) -> None:
    old, fresh = attempt("old", outcome=Outcome.FAILED), attempt("fresh", outcome=Outcome.FAILED)
    old.ended_at, fresh.ended_at = 50.0, 500.0
    written(store, old, fresh, attempt("open", at=1.0))
    store.prune(older_than=400.0, keep=0)
    assert {one.prompt_id for one in store.newest_attempts("a", 9)} == {"fresh", "open"}


# The daemon's lives.


def reopened(path: Path, store: JournalStore) -> JournalStore:
    store.close()
    return JournalStore(path)


def test_a_life_is_known_by_the_number_after_which_it_began(store: JournalStore, path: Path) -> None:
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


def test_a_life_that_wrote_nothing_but_signs_leaves_nothing_of_itself(store: JournalStore, path: Path) -> None:
    written(store, entry())
    store = reopened(path, store)
    store.heartbeat(200.0)
    store = reopened(path, store)
    written(store, entry())
    store = reopened(path, store)
    assert [life.after_seq for life in store.runs(-1)] == [0, 1, 2]
    store.close()


def test_a_life_begins_with_its_first_entry_also_without_a_sign(store: JournalStore, path: Path) -> None:
    written(store, entry())
    store = reopened(path, store)
    written(store, entry())
    store = reopened(path, store)
    assert store.runs(-1) == [DaemonRun(0, 0.0), DaemonRun(1, 0.0), DaemonRun(2, 0.0)]
    store.close()


def test_pruning_keeps_the_last_of_the_old_lives(store: JournalStore, path: Path) -> None:
    for seen_at in (100.0, 200.0, 300.0, 900.0):
        written(store, entry())
        store.heartbeat(seen_at)
        store = reopened(path, store)
    store.prune(older_than=400.0, keep=1_000)
    assert store.runs(-1) == [DaemonRun(2, 300.0), DaemonRun(3, 900.0), DaemonRun(4, 0.0)]
    store.close()


# The file.


def test_a_file_of_a_newer_comfywarm_is_refused_and_left_alone(path: Path) -> None:
    JournalStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(SchemaTooNewError, match=f"schema {len(MIGRATIONS) + 1}"):
        JournalStore(path)


def test_store_of_damaged_file_closes_it(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        JournalStore(path)
    assert str(path) not in {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}


def test_an_attempt_of_an_older_comfywarm_is_read_and_kept_on(path: Path) -> None:
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


def test_opening_twice_migrates_once(path: Path) -> None:
    for _ in range(2):
        store = JournalStore(path)
        written(store, entry())
        store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


def test_a_reader_sees_what_another_writes_meanwhile_and_cannot_write(store: JournalStore, path: Path) -> None:
    written(store, entry("one"))
    reader = JournalStore(path, read_only=True)
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["one"]
    written(store, entry("two"))
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["one", "two"]
    with pytest.raises(sqlite3.OperationalError):
        written(reader, entry("three"))
    reader.close()


def test_a_reader_reads_also_when_no_daemon_runs(path: Path) -> None:
    store = JournalStore(path)
    written(store, entry("one"))
    store.close()
    reader = JournalStore(path, read_only=True)
    assert [sentence(one.message) for one in reader.page_after(0, 9).entries] == ["one"]
    reader.close()


def test_a_reader_makes_no_file(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        JournalStore(path, read_only=True)
    assert not path.exists()


def test_a_committed_entry_is_there_without_closing(store: JournalStore, path: Path) -> None:
    """As after a SIGKILL: another process opens the same file while nothing was closed."""
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


def test_a_word_that_is_not_known_any_more_is_the_only_thing_that_a_reader_may_stumble_on(store: JournalStore) -> None:
    kept = entry()._replace(reason="a_reason_of_next_year")
    written(store, kept)
    (back,) = store.page_after(0, 9).entries
    assert isinstance(back, LogEntry)
    assert (back.kind, back.reason) == (EntryKind.TRANSITION, "a_reason_of_next_year")
