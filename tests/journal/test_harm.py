"""What must not stop the journal: words that cannot be stored, faults of our own, listeners that raise."""

import asyncio

import pytest

from statemachine.core.log_entry import LogEntry
from statemachine.i18n.render import sentence
from statemachine.journal.journal import RETRY_S
from statemachine.journal.port import JournalUnavailableError
from tests.journal.desk import Desk, settled
from tests.journal.samples import DISK_FULL, attempt

pytestmark = pytest.mark.looptime


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
    def stumble_once(one: LogEntry) -> None:
        if sentence(one.message) == "one":
            raise ValueError("a fault of the page")
        desk.hear(one)

    desk.listen = stumble_once
    desk.append("one", "two")
    async with asyncio.timeout(60):
        await desk.journal.append_durably(attempt())
    await settled()
    assert desk.told == [("two", 2)]
