"""Write the same batches of entries with the journal (`ours`) or with sqlite3 alone (`bare`)."""

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import orjson
import uvloop

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.journal import Journal, WriterThread
from statemachine.journal.rows import INSERT_ENTRY, entry_row
from statemachine.journal.store import JournalStore

BATCH = 100
BATCHES = 500
ENTRIES = [
    LogEntry(
        at=1_767_225_600.0 + number,
        kind=EntryKind.TRANSITION,
        reason=Reason.KEYS_MISSING.value,
        message=verbatim("1 of 3 keys is missing: pulid_model"),
        server=f"192.0.2.{number % 250}:8188",
        group="default",
        source=State.CHECKING,
        dest=State.COLD,
        proved_by=Source.CHECK,
    )
    for number in range(BATCH * BATCHES)
]


async def ours(path: Path) -> float:
    """Return the seconds until all entries are published. Two batches are always under way."""
    thread, over = WriterThread(), asyncio.Event()
    published, batches = 0, iter(range(0, len(ENTRIES), BATCH))

    def append() -> None:
        start = next(batches, len(ENTRIES))
        for entry in ENTRIES[start : start + BATCH]:
            journal.append(entry, None)

    def on_committed(_entry: LogEntry, _view: None) -> None:
        nonlocal published
        published += 1
        if published % BATCH == 0:
            append()
        if published == len(ENTRIES):
            over.set()

    journal = Journal[None](lambda: JournalStore(path), thread, on_committed, lambda _: None)
    await journal.open()
    began = time.perf_counter()
    append()
    append()
    await over.wait()
    took = time.perf_counter() - began
    await journal.close()
    thread.close()
    return took


def bare(path: Path) -> float:
    """Return the seconds until all entries are committed."""
    JournalStore(path).close()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")
    rows = [(None, *entry_row(entry)) for entry in ENTRIES]
    began = time.perf_counter()
    for start in range(0, len(rows), BATCH):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(INSERT_ENTRY, rows[start : start + BATCH])
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return took


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "journal.sqlite3")
        seconds = bare(file) if sys.argv[1] == "bare" else uvloop.run(ours(file))
    print(orjson.dumps({"rate": len(ENTRIES) / seconds}).decode(), flush=True)
