"""Once the file can be written again, the journal writes what waited and promises again."""

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
from tests.journal.desk import Desk, settled
from tests.journal.samples import DISK_FULL, FragileStore, attempt, entry, notice, quiet_journal

T = TypeVar("T")

pytestmark = pytest.mark.looptime


async def test_entries_are_written_later_in_their_order(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one", "two")
    await settled()
    desk.append("three")
    assert desk.journal.waiting == 3
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    assert desk.journal.waiting == 0
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
    assert await desk.journal.file.open_attempts() == []


async def test_after_recovery_durability_is_promised_again(desk: Desk) -> None:
    desk.store.broken = DISK_FULL
    desk.append("one")
    await settled()
    desk.store.broken = None
    await asyncio.sleep(RETRY_S + 0.1)
    await desk.journal.append_durably(attempt())


async def test_what_comes_during_the_recovery_is_written_too(tmp_path: Path) -> None:
    store, goes_on = FragileStore(tmp_path / "j.sqlite3"), asyncio.Event()

    async def slowly(call: Callable[[], T]) -> T:
        await goes_on.wait()
        return call()

    journal = quiet_journal(lambda: store, slowly)
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
    assert [sentence(one.message) for one in store.page_after(0, 9).entries] == ["one", "two"]
    await journal.close()


async def test_a_file_that_cannot_be_opened_is_tried_again_until_it_can(tmp_path: Path) -> None:
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
