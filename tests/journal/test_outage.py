"""While the file cannot be written: no durable writes, entries without numbers, a bounded backlog."""

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
from tests.journal.harness import JournalHarness, settled
from tests.journal.samples import DISK_FULL, attempt, entry, quiet_journal

T = TypeVar("T")

pytestmark = pytest.mark.looptime


async def test_append_durably_during_outage_raises(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    with pytest.raises(JournalUnavailableError, match="full"):
        await harness.journal.append_durably(attempt())
    assert not harness.journal.healthy
    with pytest.raises(JournalUnavailableError):
        await harness.journal.append_durably(attempt("again"))
    assert harness.store.writes == 1


@pytest.mark.parametrize("error", [DISK_FULL, sqlite3.DatabaseError("malformed"), OSError(5, "Input/output error")])
async def test_append_during_outage_publishes_once_without_number(harness: JournalHarness, error: Exception) -> None:
    harness.store.broken = error
    harness.append("one", "two")
    await settled()
    harness.append("three")
    assert harness.published == [("one", None), ("two", None), ("three", None)]
    harness.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert len(harness.published) == 3


async def test_backlog_over_limit_drops_and_counts_oldest(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("first")
    await settled()
    harness.append(*[str(number) for number in range(BACKLOG_LIMIT + 4)])
    assert harness.journal.dropped == 5
    assert len(harness.published) == BACKLOG_LIMIT + 5
    harness.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    kept = harness.on_disk()
    assert (len(kept), kept[0], kept[-1]) == (BACKLOG_LIMIT, "4", str(BACKLOG_LIMIT + 3))


async def test_backlog_during_hanging_write_is_limited(tmp_path: Path) -> None:
    continue_event = asyncio.Event()

    async def run_slowly(call: Callable[[], T]) -> T:
        await continue_event.wait()
        return call()

    store, published = JournalStore(tmp_path / "j.sqlite3"), list[str]()
    journal = quiet_journal(lambda: store, run_slowly, lambda one: published.append(sentence(one.message)))
    journal.append(entry("first"), None)
    await settled()
    for number in range(BACKLOG_LIMIT + 5):
        journal.append(entry(str(number)), None)
    assert journal.dropped == 5
    assert published == [str(number) for number in range(5)]
    continue_event.set()
    await journal.close()
    assert len(published) == BACKLOG_LIMIT + 6


async def test_close_during_outage_retries_once(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one")
    await settled()
    harness.store.broken = None
    await harness.journal.close()
    assert harness.on_disk() == ["one"]


async def test_close_of_broken_file_ends_without_retries(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one")
    await settled()
    async with asyncio.timeout(1):
        await harness.journal.close()
    assert harness.store.closed
    tries = harness.store.writes
    await asyncio.sleep(5 * RETRY_S)
    assert harness.store.writes == tries
