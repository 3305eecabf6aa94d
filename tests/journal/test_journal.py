"""The journal as the daemon uses it: told only when committed, and honest while nothing can be written."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from statemachine.core.log import LogEntry
from statemachine.journal.journal import BACKLOG_LIMIT, RETRY_S, Journal, JournalUnavailableError, WriterThread
from statemachine.journal.store import JournalStore
from tests.journal.samples import DISK_FULL, FragileStore, at_once, attempt, entry, notice

T = TypeVar("T")

pytestmark = pytest.mark.looptime


class Desk:
    """A journal over a store that can be made to fail, and what was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = FragileStore(path)
        self.journal = Journal(lambda: self.store, at_once)
        self.told: list[tuple[str, int | None]] = []
        self.health: list[bool] = []
        self.journal.on_health = self.health.append

    def append(self, *messages: str) -> None:
        for message in messages:
            self.journal.append(entry(message), None, self.hear)

    def hear(self, one: LogEntry) -> None:
        self.told.append((one.message, one.seq))

    def on_disk(self) -> list[str]:
        reader = JournalStore(self.path, read_only=True)
        found = [one.message for one in reader.entries(0, 99_999)]
        reader.close()
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "j.sqlite3")
    await made.journal.open()
    yield made
    if not made.store.closed:
        made.store.broken = None
        await made.journal.close()


async def settled() -> None:
    """Let everything run that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)


# While all is well.


async def test_entries_are_told_in_order_with_their_numbers(desk: Desk) -> None:
    desk.append("one", "two")
    assert desk.told == []
    await settled()
    desk.append("three")
    await settled()
    assert desk.told == [("one", 1), ("two", 2), ("three", 3)]


async def test_what_is_told_is_committed_already(desk: Desk) -> None:
    seen: list[list[str]] = []
    desk.journal.append(entry("one"), None, lambda _: seen.append(desk.on_disk()))
    await settled()
    assert seen == [["one"]]


async def test_what_is_appended_together_is_written_together(desk: Desk) -> None:
    desk.append(*"abcdefgh")
    await settled()
    assert desk.store.writes == 1
    assert desk.on_disk() == [*"abcdefgh"]


async def test_an_entry_and_its_attempt_are_written_as_they_stood(desk: Desk) -> None:
    one = attempt()
    desk.journal.append(entry(), one)
    one.message = "changed afterwards"
    await settled()
    (back,) = await desk.journal.read(lambda store: store.open_attempts())
    assert back.message == ""


async def test_an_attempt_is_on_the_disk_when_the_append_returns(desk: Desk) -> None:
    desk.append("before")
    await desk.journal.append_durably(attempt("p1"))
    reader = JournalStore(desk.path, read_only=True)
    assert [one.prompt_id for one in reader.open_attempts()] == ["p1"]
    reader.close()
    assert desk.store.durably == 1
    assert desk.on_disk() == ["before"]


async def test_what_is_told_may_append_in_turn(desk: Desk) -> None:
    desk.journal.append(entry("one"), None, lambda _: desk.append("two"))
    await settled()
    assert desk.told == [("two", 2)]


async def test_who_gives_up_waiting_harms_nobody(desk: Desk) -> None:
    waiting = asyncio.ensure_future(desk.journal.append_durably(attempt()))
    await asyncio.sleep(0)
    waiting.cancel()
    desk.append("one")
    await settled()
    assert desk.told == [("one", 1)]


async def test_closing_writes_what_is_pending(desk: Desk) -> None:
    desk.append("one", "two")
    await desk.journal.close()
    assert desk.on_disk() == ["one", "two"]
    assert desk.store.closed


# While nothing can be written.


async def test_nothing_durable_is_promised(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    with pytest.raises(JournalUnavailableError, match="full"):
        await desk.journal.append_durably(attempt())
    assert not desk.journal.healthy
    with pytest.raises(JournalUnavailableError):
        await desk.journal.append_durably(attempt("again"))
    assert desk.store.writes == 1


@pytest.mark.parametrize("error", [DISK_FULL, sqlite3.DatabaseError("malformed"), OSError(5, "Input/output error")])
async def test_entries_are_told_without_a_number_and_once(desk: Desk, error: Exception) -> None:
    desk.store.broken = error
    desk.append("one", "two")
    await settled()
    desk.append("three")
    assert desk.told == [("one", None), ("two", None), ("three", None)]
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert len(desk.told) == 3


async def test_entries_are_written_later_in_their_order(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one", "two")
    await settled()
    desk.append("three")
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert desk.on_disk() == ["one", "two", "three"]
    assert desk.journal.healthy
    desk.append("four")
    await settled()
    assert desk.told[-1] == ("four", 4)


async def test_a_failed_write_is_tried_again_only_after_a_pause(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one", "two")
    await settled()
    assert desk.store.writes == 1
    await asyncio.sleep(10 * RETRY_S + 0.1)
    assert desk.store.writes == 11


async def test_health_is_told_at_each_change_and_only_then(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one")
    await asyncio.sleep(3 * RETRY_S)
    desk.append("two")
    desk.store.broken = None
    await asyncio.sleep(3 * RETRY_S)
    assert desk.health == [False, True]


async def test_an_attempt_that_was_refused_is_not_written_later(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    with pytest.raises(JournalUnavailableError):
        await desk.journal.append_durably(attempt())
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert await desk.journal.read(lambda store: store.open_attempts()) == []


async def test_after_recovery_durability_is_promised_again(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one")
    await settled()
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    await desk.journal.append_durably(attempt())


async def test_the_backlog_is_bounded_drops_the_oldest_and_counts_them(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("first")
    await settled()
    desk.append(*[str(number) for number in range(BACKLOG_LIMIT + 4)])
    assert desk.journal.dropped == 5
    assert len(desk.told) == BACKLOG_LIMIT + 5
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    kept = desk.on_disk()
    assert (len(kept), kept[0], kept[-1]) == (BACKLOG_LIMIT, "4", str(BACKLOG_LIMIT + 3))


async def test_a_write_that_hangs_does_not_fill_the_memory_either(tmp_path: Path) -> None:
    goes_on = asyncio.Event()

    async def slowly(call: Callable[[], T]) -> T:
        await goes_on.wait()
        return call()

    store, told = JournalStore(tmp_path / "j.sqlite3"), list[str]()
    journal = Journal(lambda: store, slowly)
    journal.append(entry("first"), None, lambda one: told.append(one.message))
    await settled()
    for number in range(BACKLOG_LIMIT + 5):
        journal.append(entry(str(number)), None, lambda one: told.append(one.message))
    assert journal.dropped == 5
    assert told == [str(number) for number in range(5)]
    goes_on.set()
    await journal.close()
    assert len(told) == BACKLOG_LIMIT + 6


async def test_closing_tries_once_more(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one")
    await settled()
    desk.store.broken = None
    await desk.journal.close()
    assert desk.on_disk() == ["one"]


async def test_closing_comes_to_an_end_also_where_nothing_can_be_written(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one")
    await settled()
    async with asyncio.timeout(1):
        await desk.journal.close()
    assert desk.store.closed
    tries = desk.store.writes
    await asyncio.sleep(5 * RETRY_S)
    assert desk.store.writes == tries


# What must not stop it.

HALF_A_CHARACTER = "\udcff"


async def test_nothing_that_a_server_says_keeps_an_entry_from_being_written(desk: Desk) -> None:
    desk.append("one", HALF_A_CHARACTER, "x" * 1_000_000, "two")
    await desk.journal.append_durably(attempt())
    assert [message[:5] for message in desk.on_disk()] == ["one", "?", "xxxxx", "two"]
    assert desk.journal.healthy


async def test_nothing_that_a_server_says_stops_the_recovery(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one", HALF_A_CHARACTER, "two")
    await settled()
    desk.store.broken = None
    await asyncio.sleep(5 * RETRY_S)
    assert desk.on_disk() == ["one", "?", "two"]
    assert desk.journal.healthy


@pytest.mark.parametrize("while_broken", [False, True])
async def test_a_fault_of_our_own_costs_its_batch_and_no_more(desk: Desk, while_broken: bool) -> None:
    if while_broken:
        desk.store.broken = DISK_FULL
        desk.append("zero")
        await settled()
    desk.store.broken = TypeError("a fault of our own")
    with pytest.raises(JournalUnavailableError):
        await desk.journal.append_durably(attempt("p1"))
    desk.append("one")
    await asyncio.sleep(2 * RETRY_S)
    desk.store.broken = None
    await asyncio.sleep(2 * RETRY_S)
    desk.append("two")
    await desk.journal.append_durably(attempt("p2"))
    assert "two" in desk.on_disk()
    assert [message for message, _ in desk.told][-2:] == ["one", "two"]


async def test_a_listener_that_raises_harms_nobody(desk: Desk) -> None:
    def stumble(_: LogEntry) -> None:
        raise ValueError("a fault of the page")

    desk.journal.append(entry("one"), None, stumble)
    desk.append("two")
    async with asyncio.timeout(60):
        await desk.journal.append_durably(attempt())
    await settled()
    assert desk.told == [("two", 2)]


async def test_what_comes_during_the_recovery_is_written_too(tmp_path: Path) -> None:
    store, goes_on = FragileStore(tmp_path / "j.sqlite3"), asyncio.Event()

    async def slowly(call: Callable[[], T]) -> T:
        await goes_on.wait()
        return call()

    journal = Journal(lambda: store, slowly)
    store.broken = DISK_FULL
    goes_on.set()
    journal.append(entry("one"), None)
    await settled()
    store.broken = None
    goes_on.clear()
    await asyncio.sleep(RETRY_S + 0.1)
    journal.append(entry("two"), None)
    goes_on.set()
    await asyncio.sleep(1)
    assert [one.message for one in store.entries(0, 9)] == ["one", "two"]
    await journal.close()


# A file that cannot be opened.


async def test_a_file_that_cannot_be_opened_is_tried_again_until_it_can(tmp_path: Path) -> None:
    opened = 0

    def open_store() -> JournalStore:
        nonlocal opened
        opened += 1
        if opened < 3:
            raise sqlite3.OperationalError("unable to open database file")
        return JournalStore(tmp_path / "j.sqlite3")

    journal = Journal(open_store, at_once)
    await journal.open()
    assert not journal.healthy
    with pytest.raises(JournalUnavailableError):
        await journal.append_durably(attempt())
    with pytest.raises(JournalUnavailableError):
        await journal.read(lambda store: store.last_seq())
    journal.append(notice("kept"), None)
    await asyncio.sleep(3 * RETRY_S)
    assert journal.healthy
    assert [one.message for one in await journal.read(lambda store: store.entries(0, 9))] == ["kept"]
    await journal.close()


# The thread.


async def test_the_writer_thread_runs_calls_in_order_and_hands_their_errors_over(tmp_path: Path) -> None:
    thread = WriterThread()
    done: list[int] = []
    try:
        await asyncio.gather(*(thread(partial(done.append, number)) for number in range(20)))
        with pytest.raises(sqlite3.OperationalError):
            await thread(lambda: JournalStore(tmp_path / "none", read_only=True))
    finally:
        thread.close()
    assert done == list(range(20))
