"""What must not stop the journal: texts that cannot be stored, internal errors, failing listeners."""

import asyncio

import pytest

from statemachine.core.log_entry import LogEntry
from statemachine.i18n.render import sentence
from statemachine.journal.journal import RETRY_S
from statemachine.journal.port import JournalUnavailableError
from tests.journal.harness import JournalHarness, settled
from tests.journal.samples import DISK_FULL, attempt

pytestmark = pytest.mark.looptime


LONE_SURROGATE = "\udcff"


async def test_append_any_text_is_written(harness: JournalHarness) -> None:
    harness.append("one", LONE_SURROGATE, "x" * 1_000_000, "two")
    await harness.journal.append_durably(attempt())
    assert [message[:5] for message in harness.on_disk()] == ["one", "?", "xxxxx", "two"]
    assert harness.journal.healthy


async def test_recovery_with_any_text_completes(harness: JournalHarness) -> None:
    harness.store.broken = DISK_FULL
    harness.append("one", LONE_SURROGATE, "two")
    await settled()
    harness.store.broken = None
    await asyncio.sleep(5 * RETRY_S)
    assert harness.on_disk() == ["one", "?", "two"]
    assert harness.journal.healthy


@pytest.mark.parametrize("while_broken", [False, True])
async def test_internal_error_drops_only_its_batch(harness: JournalHarness, while_broken: bool) -> None:
    if while_broken:
        harness.store.broken = DISK_FULL
        harness.append("zero")
        await settled()
    harness.store.broken = TypeError("internal error")
    with pytest.raises(JournalUnavailableError):
        await harness.journal.append_durably(attempt("p1"))
    harness.append("one")
    await asyncio.sleep(2 * RETRY_S)
    harness.store.broken = None
    await asyncio.sleep(2 * RETRY_S)
    harness.append("two")
    await harness.journal.append_durably(attempt("p2"))
    assert "two" in harness.on_disk()
    assert [message for message, _ in harness.published][-2:] == ["one", "two"]


async def test_on_committed_error_keeps_journal_working(harness: JournalHarness) -> None:
    def fail_once(one: LogEntry) -> None:
        if sentence(one.message) == "one":
            raise ValueError("error of the listener")
        harness.on_committed(one)

    harness.listener = fail_once
    harness.append("one", "two")
    async with asyncio.timeout(60):
        await harness.journal.append_durably(attempt())
    await settled()
    assert harness.published == [("two", 2)]
