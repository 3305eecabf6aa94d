"""While nothing can be written, the journal promises nothing durable, tells all the same, and keeps its bounds."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from statemachine.i18n.render import sentence
from statemachine.journal.journal import BACKLOG_LIMIT, RETRY_S
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.store import JournalStore
from tests.journal.desk import Desk, settled
from tests.journal.samples import DISK_FULL, attempt, entry, quiet_journal

T = TypeVar("T")

pytestmark = pytest.mark.looptime


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
    journal = quiet_journal(lambda: store, slowly, lambda one: told.append(sentence(one.message)))
    journal.append(entry("first"), None)
    await settled()
    for number in range(BACKLOG_LIMIT + 5):
        journal.append(entry(str(number)), None)
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
