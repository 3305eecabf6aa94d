"""The journal can write while it is read, and the event loop runs while figures are computed."""

import asyncio
from pathlib import Path

from statemachine.journal.journal import WriterThread
from statemachine.journal.store import JournalStore, Write
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth
from statemachine.warmth.service import PAGE_ENTRIES, YIELD_EVERY
from tests.journal.samples import entry, quiet_journal
from tests.warmth.harness import view
from tests.warmth.log_builder import BEGIN, LogBuilder

PAGES = 10


async def test_catch_up_lets_journal_write_between_pages(tmp_path: Path) -> None:
    thread = WriterThread()
    committed = asyncio.Event()
    journal = quiet_journal(lambda: JournalStore(tmp_path / "j.sqlite3"), thread, lambda _: committed.set())
    await journal.open()
    writes = [Write(entry(), None) for _ in range(PAGES * PAGE_ENTRIES)]
    await journal.with_store(lambda store: store.write(writes))
    reading = asyncio.create_task(Warmth(journal, Snapshot(), lambda: BEGIN).catch_up())
    await asyncio.sleep(0)
    journal.append(entry(), None)
    await committed.wait()
    assert not reading.done()
    await reading
    await journal.close()
    thread.close()


async def test_survey_lets_event_loop_run_between_slices(tmp_path: Path) -> None:
    journal = quiet_journal(lambda: JournalStore(tmp_path / "j.sqlite3"))
    await journal.open()
    snapshot, log = Snapshot(), LogBuilder()
    for number in range(10 * YIELD_EVERY):
        snapshot.put(view(f"s{number}"))
        log.loaded(f"s{number}")
    await journal.with_store(lambda store: store.write([Write(one, None) for one in log.entries]))
    warmth = Warmth(journal, snapshot, lambda: BEGIN)
    await warmth.catch_up()
    summing = asyncio.create_task(warmth.survey())
    turns = 0
    while not summing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10
    await journal.close()
