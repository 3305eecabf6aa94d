"""Appending to a healthy journal: batches and durability."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from statemachine.core.messages import verbatim
from statemachine.i18n.render import sentence
from statemachine.journal.journal import WriterThread
from statemachine.journal.store import JournalStore
from tests.journal.harness import JournalHarness, settled
from tests.journal.samples import attempt, entry

pytestmark = pytest.mark.looptime


async def test_append_batches_entries_into_one_write(harness: JournalHarness) -> None:
    harness.append(*"abcdefgh")
    await settled()
    assert harness.store.writes == 1
    assert harness.on_disk() == [*"abcdefgh"]


async def test_append_writes_attempt_as_it_was_at_the_call(harness: JournalHarness) -> None:
    one = attempt()
    harness.journal.append(entry(), one)
    one.message = verbatim("changed afterwards")
    await settled()
    (back,) = await harness.journal.with_store(JournalStore.open_attempts)
    assert sentence(back.message) == ""


async def test_append_durably_returns_after_durable_write(harness: JournalHarness) -> None:
    harness.append("before")
    await harness.journal.append_durably(attempt("p1"))
    reader = JournalStore(harness.path, read_only=True)
    assert [one.prompt_id for one in reader.open_attempts()] == ["p1"]
    reader.close()
    assert harness.store.durable_writes == 1
    assert harness.on_disk() == ["before"]


async def test_close_writes_pending_entries(harness: JournalHarness) -> None:
    harness.append("one", "two")
    await harness.journal.close()
    assert harness.on_disk() == ["one", "two"]
    assert harness.store.closed


async def test_writer_thread_keeps_order_and_raises_errors(tmp_path: Path) -> None:
    thread = WriterThread()
    done: list[int] = []
    try:
        await asyncio.gather(*(thread(partial(done.append, number)) for number in range(20)))
        with pytest.raises(sqlite3.OperationalError):
            await thread(lambda: JournalStore(tmp_path / "none", read_only=True))
    finally:
        thread.close()
    assert done == list(range(20))
