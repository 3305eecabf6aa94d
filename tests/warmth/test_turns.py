"""Others have their turn: the journal writes while it is read, and the loop goes on while servers are added up."""

import asyncio
from pathlib import Path

from statemachine.journal.journal import WriterThread
from statemachine.journal.store import JournalStore, Write
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth
from statemachine.warmth.service import PAGE, SLICE
from tests.journal.samples import entry, quiet_journal
from tests.warmth.chronicle import BEGIN, Chronicle
from tests.warmth.test_follower import view

PAGES = 10


async def test_the_journal_gets_round_to_writing_between_two_pages(tmp_path: Path) -> None:
    thread = WriterThread()
    told = asyncio.Event()
    journal = quiet_journal(lambda: JournalStore(tmp_path / "j.sqlite3"), thread, lambda _: told.set())
    await journal.open()
    writes = [Write(entry(), None) for _ in range(PAGES * PAGE)]
    await journal.with_store(lambda store: store.write(writes))
    reading = asyncio.create_task(Warmth(journal, Snapshot(), lambda: BEGIN).catch_up())
    await asyncio.sleep(0)
    journal.append(entry(), None)
    await told.wait()
    assert not reading.done()
    await reading
    await journal.close()
    thread.close()


async def test_the_loop_goes_on_while_servers_are_added_up(tmp_path: Path) -> None:
    journal = quiet_journal(lambda: JournalStore(tmp_path / "j.sqlite3"))
    await journal.open()
    snapshot, log = Snapshot(), Chronicle()
    for number in range(10 * SLICE):
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
