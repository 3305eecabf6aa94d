"""Recovery after an outage: waiting entries are written, and the journal is healthy again."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from statemachine.i18n.render import sentence
from statemachine.journal.journal import RETRY_S
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.store import JournalStore
from tests.journal.harness import JournalHarness, settled
from tests.journal.samples import DISK_FULL, FragileStore, attempt, entry, notice, quiet_journal

T = TypeVar("T")

pytestmark = pytest.mark.looptime


async def test_recovery_writes_waiting_entries_in_order(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one", "two")
    await settled()
    harness.append("three")
    assert harness.journal.waiting == 3
    harness.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert harness.journal.waiting == 0
    assert harness.on_disk() == ["one", "two", "three"]
    assert harness.journal.healthy
    harness.append("four")
    await settled()
    assert harness.published[-1] == ("four", 4)


async def test_outage_retries_after_pause_only(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one", "two")
    await settled()
    assert harness.store.writes == 1
    await asyncio.sleep(10 * RETRY_S + 0.1)
    assert harness.store.writes == 11


async def test_on_health_receives_changes_only(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one")
    await asyncio.sleep(3 * RETRY_S)
    harness.append("two")
    harness.store.broken = None
    await asyncio.sleep(3 * RETRY_S)
    assert harness.health == [False, True]


async def test_recovery_does_not_write_failed_durable_attempt(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    with pytest.raises(JournalUnavailableError):
        await harness.journal.append_durably(attempt())
    harness.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert await harness.journal.with_store(JournalStore.open_attempts) == []


async def test_append_durably_after_recovery_returns(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one")
    await settled()
    harness.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    await harness.journal.append_durably(attempt())


async def test_append_during_recovery_is_written(tmp_path: Path) -> None:
    store, continue_event = FragileStore(tmp_path / "j.sqlite3"), asyncio.Event()

    async def run_slowly(call: Callable[[], T]) -> T:
        await continue_event.wait()
        return call()

    journal = quiet_journal(lambda: store, run_slowly)
    store.broken = DISK_FULL
    continue_event.set()
    journal.append(entry("one"), None)
    await settled()
    store.broken = None
    continue_event.clear()
    await asyncio.sleep(RETRY_S + 0.1)
    journal.append(entry("two"), None)
    continue_event.set()
    await asyncio.sleep(1)
    assert [sentence(one.message) for one in store.page_after(0, 9).entries] == ["one", "two"]
    await journal.close()


async def test_open_failure_is_retried_until_success(tmp_path: Path) -> None:
    opened = 0

    def open_store() -> JournalStore:
        nonlocal opened
        opened += 1
        if opened < 3:
            raise sqlite3.OperationalError("unable to open database file")
        return JournalStore(tmp_path / "j.sqlite3")

    journal = quiet_journal(open_store)
    await journal.open()
    assert not journal.healthy
    with pytest.raises(JournalUnavailableError):
        await journal.append_durably(attempt())
    with pytest.raises(JournalUnavailableError):
        await journal.file.last_seq()
    journal.append(notice("kept"), None)
    await asyncio.sleep(3 * RETRY_S)
    assert journal.healthy
    assert [sentence(one.message) for one in (await journal.file.page_after(0, 9)).entries] == ["kept"]
    await journal.close()
