"""The journal as the daemon uses it: appends are gathered, committed together in a thread, and told in order.

Whoever appends hears of its entry only when it is committed, with its number; so a reader who was told a number will
find it after any crash. Where the file cannot be written, entries wait (bounded), are told without a number so that the
page and the log go on, and nothing durable is promised: `append_durably` fails, and so nothing is submitted.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from loguru import logger

from statemachine.core.attempt import Attempt
from statemachine.core.log import LogEntry
from statemachine.journal.rows import attempt_row
from statemachine.journal.store import JournalStore, Write

T = TypeVar("T")

OnTold = Callable[[LogEntry], None]

RETRY_S = 2.0
BACKLOG_LIMIT = 10_000


class JournalUnavailableError(Exception):
    """The journal cannot be written at the moment."""


class Runner(Protocol):
    """Runs a blocking call elsewhere than on the loop, one at a time and in order."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Await the call's result."""
        ...


@dataclass(slots=True)
class _Pending:
    write: Write
    told: OnTold | None
    receipt: asyncio.Future[int | None] | None
    was_told: bool = False


class Journal:
    """Owns the store's thread. All methods are called on the loop."""

    def __init__(self, store: JournalStore, run: Runner) -> None:
        self._store = store
        self._run = run
        self._pending: list[_Pending] = []
        self._flushing: asyncio.Task[None] | None = None
        self.healthy = True
        self.dropped = 0

    def append(self, entry: LogEntry | None, attempt: Attempt | None, told: OnTold | None = None) -> None:
        """Write the entry and the attempt as they stand now; `told` hears of the entry once it is committed."""
        row = attempt_row(attempt) if attempt is not None else None
        self._enqueue(_Pending(Write(entry, row), told, None))

    async def append_durably(self, attempt: Attempt) -> None:
        """Return once the attempt is on the disk; JournalUnavailableError where it cannot be put there."""
        if not self.healthy:
            raise JournalUnavailableError("the journal cannot be written")
        receipt: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._enqueue(_Pending(Write(None, attempt_row(attempt), durable=True), None, receipt))
        await receipt

    async def read(self, query: Callable[[JournalStore], T]) -> T:
        """Run a query of the store's in its thread."""
        return await self._run(lambda: query(self._store))

    async def close(self) -> None:
        """Write what is pending, once, and close the file."""
        if self._flushing is not None:
            await self._flushing
        await self._run(self._store.close)

    def _enqueue(self, pending: _Pending) -> None:
        self._pending.append(pending)
        if len(self._pending) > BACKLOG_LIMIT:
            self._pending.pop(0)
            self.dropped += 1
        if not self.healthy:
            self._tell_unnumbered([pending])
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                await self._commit(batch)
        finally:
            self._flushing = None

    async def _commit(self, batch: list[_Pending]) -> None:
        writes = [pending.write for pending in batch]
        try:
            numbers = await self._run(lambda: self._store.write(writes))
        except (sqlite3.Error, OSError) as error:
            self._fail(batch, error)
            return
        for pending, number in zip(batch, numbers, strict=True):
            _tell(pending, number)

    def _fail(self, batch: list[_Pending], error: Exception) -> None:
        """Refuse what asked for durability, keep the rest for later, and try again in a while."""
        logger.error("the journal cannot be written, so nothing is submitted until it can: {}", error)
        self.healthy = False
        for pending in batch:
            if pending.receipt is not None and not pending.receipt.done():
                pending.receipt.set_exception(JournalUnavailableError(str(error)))
        waiting = [pending for pending in batch if pending.receipt is None]
        self._tell_unnumbered([*waiting, *self._pending])
        self._pending = waiting + self._pending
        asyncio.get_running_loop().call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self.healthy = True
        if self._pending and self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    @staticmethod
    def _tell_unnumbered(pending: list[_Pending]) -> None:
        for one in pending:
            if one.told is not None and one.write.entry is not None and not one.was_told:
                one.was_told = True
                one.told(one.write.entry)


def _tell(pending: _Pending, number: int | None) -> None:
    if pending.receipt is not None and not pending.receipt.done():
        pending.receipt.set_result(number)
    entry = pending.write.entry
    if pending.told is not None and entry is not None and number is not None and not pending.was_told:
        pending.told(entry.numbered(number))


class WriterThread:
    """A `Runner` with one thread of its own."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run the call in the thread."""
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the thread's end."""
        self._executor.shutdown()
