"""The journal's file: numbers, entries, attempts, runs, pruning and migration."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.core.messages import verbatim
from statemachine.core.pause import Pause
from statemachine.core.repetition import Streak
from statemachine.core.restart import Restart, RestartCause
from statemachine.core.server import Attempt, Outcome
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.pruning import TABLES_BY_SERVER
from statemachine.journal.restart_rows import restart_row
from statemachine.journal.rows import pause_row, streak_row
from statemachine.journal.store import NEWEST_STATE, JournalStore, Write
from tests.journal.samples import attempt, entry, notice, written

TABLES = ("log", *TABLES_BY_SERVER)
NO_TIME = entry(at=float("nan"))
"""SQLite stores NaN as NULL, which the table does not allow."""


def same(one: Attempt, other: Attempt) -> bool:
    """Return whether the stored fields of two attempts are equal."""
    kept = ("server", "workflow", "prompt_id", "created_at", "client_id", "server_prompt_id", "outcome", "accepted_at",
            "ended_at", "confirmed_by", "varied_tag", "message", "instance")  # fmt: skip
    return all(getattr(one, name) == getattr(other, name) for name in kept)


# Numbers.


def test_write_numbers_entries_only(store: JournalStore) -> None:
    assert store.last_seq() == 0
    assert written(store, entry(), attempt(), notice(), entry()) == [1, None, 2, 3]
    assert store.last_seq() == 3


def test_write_after_reopening_continues_numbers(path: Path) -> None:
    for expected in ([1, 2], [3, 4]):
        store = JournalStore(path)
        assert written(store, entry(), entry()) == expected
        store.close()


def test_write_after_pruning_everything_continues_numbers(path: Path) -> None:
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
def test_write_never_repeats_a_number(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite3"
    store, published = JournalStore(path), list[int | None]()
    for step in steps:
        if step == "write":
            published += written(store, entry(), notice())
        elif step == "prune":
            store.prune(older_than=1e9, keep=0)
        elif step == "reopen":
            store.close()
            store = JournalStore(path)
        else:
            with pytest.raises(sqlite3.IntegrityError):
                written(store, entry(), NO_TIME)
    store.close()
    numbers = [number for number in published if number is not None]
    assert len(numbers) == len(published)
    assert all(earlier < later for earlier, later in pairwise(numbers))


def test_write_of_failing_batch_writes_nothing(store: JournalStore) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        written(store, entry("first"), attempt(), NO_TIME)
    assert store.page_after(0, 10).entries == []
    assert store.open_attempts() == []
    assert len(written(store, entry())) == 1


# Reading entries.


def test_page_returns_entries_as_written(store: JournalStore) -> None:
    kept = [entry("缓存"), notice(), entry(server="b", dest=State.PAUSED)]
    written(store, *kept)
    assert store.page_after(0, 10).entries == [one.numbered(number) for number, one in enumerate(kept, 1)]


def test_newest_entries_returns_newest_first(store: JournalStore) -> None:
    written(store, *[entry(str(number), server="ab"[number % 2]) for number in range(6)])
    assert [one.seq for one in store.newest_entries("a", 2)] == [5, 3]
    assert store.newest_entries("c", 2) == []


def test_has_server_is_true_with_entries_only(store: JournalStore) -> None:
    written(store, entry(server="a"), notice())
    assert store.has_server("a")
    assert not store.has_server("b")


# Attempts.


def test_write_updates_attempt(store: JournalStore) -> None:
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


def test_open_attempts_returns_in_flight_oldest_first(store: JournalStore) -> None:
    for number, outcome in enumerate(Outcome):
        written(store, attempt(outcome.value, at=100.0 - number, outcome=outcome))
    assert [one.prompt_id for one in store.open_attempts()] == ["accepted", "recorded"]


def test_newest_attempts_returns_newest_first(store: JournalStore) -> None:
    written(store, *[attempt(f"p{number}", server="ab"[number % 2], at=100.0 + number // 4) for number in range(8)])
    assert [one.prompt_id for one in store.newest_attempts("a", 3)] == ["p6", "p4", "p2"]


def test_open_attempt_is_read_without_progress(store: JournalStore) -> None:
    written(store, attempt())
    (back,) = store.open_attempts()
    assert back.is_open
    assert (back.total_nodes, back.progress, back.cached_nodes) == (0, 0.0, ())


# States and pruning.


def test_last_states_returns_newest_of_each_server(store: JournalStore) -> None:
    written(store, entry(server="a"), entry(server="b", dest=State.PAUSED), entry(server="a", dest=State.LOADED))
    assert store.last_states() == {"a": "loaded", "b": "paused"}


def test_last_states_of_a_few_servers_does_not_read_the_log(store: JournalStore) -> None:
    written(store, entry(server="a"), entry(server="b", dest=State.PAUSED), entry(server="a", dest=State.LOADED))
    written(store, notice(server="a"))
    assert store.last_states(["a", "never seen"]) == {"a": "loaded"}
    assert store.last_states([]) == {}
    assert store.last_states([*map(str, range(1000)), "b"]).items() >= {("b", "paused")}
    plan = store._db.execute(f"EXPLAIN QUERY PLAN {NEWEST_STATE}", ("a",)).fetchall()
    assert "USING INDEX log_by_server" in plan[0]["detail"]


def test_last_states_ignores_notices(store: JournalStore) -> None:
    written(store, entry(server="a", dest=State.PAUSED), notice(server="a"), notice())
    assert store.last_states() == {"a": "paused"}


@pytest.mark.parametrize(("older_than", "keep"), [(1e9, 1_000), (0.0, 0), (1e9, 0)])
def test_prune_keeps_newest_transition_of_server(store: JournalStore, older_than: float, keep: int) -> None:
    written(store, entry(server="a", dest=State.COLD), entry(server="a", dest=State.PAUSED))
    written(store, *[notice() for _ in range(5)])
    assert store.prune(older_than, keep) > 0
    assert store.last_states() == {"a": "paused"}


def test_prune_deletes_by_age_and_by_number(store: JournalStore) -> None:
    written(store, *[notice(str(number), at=100.0 + number) for number in range(10)])
    assert store.prune(older_than=103.0, keep=1_000) == 3
    assert store.prune(older_than=0.0, keep=4) == 3
    assert [sentence(one.message) for one in store.page_after(0, 99).entries] == ["6", "7", "8", "9"]


def test_prune_keeps_open_and_recent_attempts(store: JournalStore) -> None:
    old, fresh = attempt("old", outcome=Outcome.FAILED), attempt("fresh", outcome=Outcome.FAILED)
    old.ended_at, fresh.ended_at = 50.0, 500.0
    written(store, old, fresh, attempt("open", at=1.0))
    store.prune(older_than=400.0, keep=0)
    assert {one.prompt_id for one in store.newest_attempts("a", 9)} == {"fresh", "open"}


def kept_rows(store: JournalStore) -> set[str]:
    """Return the servers of which the file keeps a state, a streak, a pause or a restart."""
    return {*store.last_states(), *store.streaks(), *store.pauses(), *store.restarts()}


def write_terms(store: JournalStore, server: str, at: float) -> None:
    """Write a transition, and a row in each table that has one for each server."""
    store.write([
        Write(entry(server=server, at=at, dest=State.PAUSED)),
        Write(streak=streak_row(server, Streak(Reason.PROMPT_LOST, 2))),
        Write(pause=pause_row(server, Pause(None, "", None))),
        Write(restart=restart_row(Restart("r1", server, RestartCause.OPERATOR, at))),
    ])  # fmt: skip


def test_prune_forgets_old_servers_that_left_the_fleet(store: JournalStore) -> None:
    for server, at in (("present", 100.0), ("left", 100.0), ("left lately", 500.0)):
        write_terms(store, server, at)
    written(store, attempt("in flight", server="left", at=1.0))
    store.prune(older_than=400.0, keep=1_000)
    assert kept_rows(store) == {"present", "left", "left lately"}
    assert store.prune(older_than=400.0, keep=0, present={"present"}) == 1
    assert kept_rows(store) == {"present", "left lately"}
    assert [one.prompt_id for one in store.open_attempts(["left"])] == ["in flight"]
    assert not store.has_server("left")


def test_prune_leaves_as_many_rows_however_many_servers_came(store: JournalStore) -> None:
    sizes = list[int]()
    for hour in range(6):
        for number in range(20):
            write_terms(store, f"{hour}-{number}", at=float(hour))
        store.prune(older_than=hour - 1.5, keep=1_000_000, present={f"{hour}-0"})
        sizes.append(sum(store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES))
    assert sizes[2:] == [sizes[1]] * 4


@pytest.mark.parametrize("others", [0, 1_000])
def test_saved_terms_are_read_of_the_servers_that_are_asked_for(store: JournalStore, others: int) -> None:
    """Of many servers, all are read."""
    for server in ("a", "b"):
        write_terms(store, server, at=100.0)
        written(store, attempt(server, server=server))
    names = ["a", *map(str, range(others))]
    expected = ["a", "b"] if others else ["a"]
    assert sorted(store.last_states(names)) == expected
    assert sorted(store.streaks(names)) == expected
    assert sorted(store.pauses(names)) == expected
    assert sorted(store.restarts(names)) == expected
    assert [one.server for one in store.open_attempts(names)] == expected


@pytest.mark.parametrize(
    ("column", "value"), [("cause", "by a later version"), ("stage", "?"), ("hooks", "{"), ("hooks", "7")]
)
def test_restart_that_cannot_be_read_hides_no_other(path: Path, column: str, value: str) -> None:
    store = JournalStore(path)
    for server in ("a", "b"):
        store.write([Write(restart=restart_row(Restart("r1", server, RestartCause.OPERATOR, 1_000.0)))])
    store.close()
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE restarts SET {column} = ? WHERE server = 'a'", (value,))
    db.close()
    store = JournalStore(path)
    assert list(store.restarts()) == ["b"]
    store.close()
