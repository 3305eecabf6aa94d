"""While all is well, the journal tells in order what it has committed, and gathers what is appended together."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import verbatim
from statemachine.i18n.render import sentence
from statemachine.journal.journal import WriterThread
from statemachine.journal.store import JournalStore
from tests.journal.desk import Desk, settled
from tests.journal.samples import attempt, entry

pytestmark = pytest.mark.looptime


async def test_entries_are_told_in_order_with_their_numbers(desk: Desk) -> None:
    desk.append("one", "two")
    assert desk.told == []
    await settled()
    desk.append("three")
    await settled()
    assert desk.told == [("one", 1), ("two", 2), ("three", 3)]


async def test_what_is_told_is_committed_already(desk: Desk) -> None:
    seen: list[list[str]] = []
    desk.listen = lambda _: seen.append(desk.on_disk())
    desk.append("one")
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
    one.message = verbatim("changed afterwards")
    await settled()
    (back,) = await desk.journal.file.open_attempts()
    assert sentence(back.message) == ""


async def test_an_attempt_is_on_the_disk_when_the_append_returns(desk: Desk) -> None:
    desk.append("before")
    await desk.journal.append_durably(attempt("p1"))
    reader = JournalStore(desk.path, read_only=True)
    assert [one.prompt_id for one in reader.open_attempts()] == ["p1"]
    reader.close()
    assert desk.store.durably == 1
    assert desk.on_disk() == ["before"]


async def test_what_is_told_may_append_in_turn(desk: Desk) -> None:
    def append_once(one: LogEntry) -> None:
        if sentence(one.message) == "one":
            desk.append("two")
        desk.hear(one)

    desk.listen = append_once
    desk.append("one")
    await settled()
    assert desk.told == [("one", 1), ("two", 2)]


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
