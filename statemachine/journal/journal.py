"""The journal as the daemon uses it: appends are gathered, committed together in a thread, and told in order.

Whoever appends hears of its entry only when it is committed, with its number; so a reader who was told a number will
find it after any crash. Where the file cannot be written, entries wait (bounded), are told without a number so that the
page and the log go on, and nothing durable is promised: `append_durably` fails, and so nothing is submitted.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from loguru import logger

from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import message
from statemachine.core.vocabulary import State
from statemachine.journal.file import JournalFile
from statemachine.journal.port import JournalUnavailableError, OnHealth, SavedState
from statemachine.journal.rows import Row, attempt_row
from statemachine.journal.store import JournalStore, Write

T = TypeVar("T")
V = TypeVar("V")
"""What is published beside an entry: for a single daemon the server's line after it."""

RETRY_S = 2.0
BACKLOG_LIMIT = 10_000


class ThreadRunner(Protocol):
    """Runs a blocking call elsewhere than on the loop, one at a time and in order."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Await the call's result."""
        ...


@dataclass(slots=True, eq=False)
class _PendingWrite(Generic[V]):
    write: Write
    view: V | None = None
    receipt: asyncio.Future[None] | None = None
    is_published: bool = False

    def publish(self, number: int | None, on_committed: "OnPublished[V]") -> None:
        """Publish the entry once: with its number when committed, without one if it cannot be committed now."""
        entry = self.write.entry
        if entry is None or self.is_published:
            return
        self.is_published = True
        try:
            on_committed(entry.numbered(number), self.view)
        except Exception:
            logger.exception("an entry could not be published; later entries are published all the same")

    def settle(self, error: Exception | None = None) -> None:
        """Answer whoever waits for durability."""
        if self.receipt is None or self.receipt.done():
            return
        if error is None:
            self.receipt.set_result(None)
        else:
            self.receipt.set_exception(JournalUnavailableError(str(error)))


OnPublished = Callable[[LogEntry, V | None], None]


class Journal(Generic[V]):
    """Owns the store and its thread. All methods are called on the loop.

    `open_store` is called in the thread, at once and again as long as it fails. `on_health` hears of each change.
    """

    def __init__(
        self,
        open_store: Callable[[], JournalStore],
        run: ThreadRunner,
        on_committed: OnPublished[V],
        on_health: OnHealth,
    ) -> None:
        self._open_store = open_store
        self._run = run
        self._on_committed = on_committed
        self._on_health = on_health
        self._store: JournalStore | None = None
        self._pending: list[_PendingWrite[V]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.file = JournalFile(self.with_store)
        self.healthy = True
        self.dropped = 0

    async def open(self) -> None:
        """Open the file. Where that fails, say so, and go on trying in the background."""
        try:
            self._store = await self._run(self._open_store)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def append(self, entry: LogEntry | None, attempt: Attempt | None, view: V | None = None) -> None:
        """See JournalPort."""
        row = attempt_row(attempt) if attempt is not None else None
        self._enqueue(_PendingWrite(Write(entry, row), view))

    def append_row(self, attempt: Row) -> None:
        """Write an attempt that is a row already."""
        self._enqueue(_PendingWrite(Write(None, attempt)))

    async def append_durably(self, attempt: Attempt) -> None:
        """Return once the attempt is on the disk; JournalUnavailableError where it cannot be put there."""
        if not self.healthy:
            raise JournalUnavailableError(message("journal_not_writable"))
        receipt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(_PendingWrite(Write(None, attempt_row(attempt), durable=True), receipt=receipt))
        await receipt

    async def saved_states(self, servers: Collection[str]) -> dict[str, SavedState]:
        """See JournalPort."""
        in_flight = {one.server: one for one in await self.file.open_attempts()}
        states = await self.file.last_states()
        return {
            name: SavedState(in_flight.get(name), paused=states.get(name) == State.PAUSED.value)
            for name in servers
            if name in states or name in in_flight
        }

    @property
    def waiting(self) -> int:
        """Entries and attempts that are not committed yet, but for those being committed now."""
        return len(self._pending)

    async def with_store(self, call: Callable[[JournalStore], T]) -> T:
        """Call a function with the store, in the store's thread. Raise JournalUnavailableError if that fails."""
        store = self._store
        if store is None:
            raise JournalUnavailableError(message("journal_not_open"))
        try:
            return await self._run(lambda: call(store))
        except sqlite3.Error as error:
            raise JournalUnavailableError(message("journal_not_readable", error=str(error))) from error

    async def answers(self) -> None:
        """Return once the thread has come round to a trivial question: whoever waits in vain knows that it hangs."""
        store = self._store
        await self._run(lambda: None if store is None else store.last_seq())

    async def close(self) -> None:
        """Try once to write what is pending, and close the file."""
        if self._retry is not None:
            self._retry.cancel()
        if self._flushing is not None:
            await self._flushing
        if self._pending and self._store is not None:
            batch, self._pending = self._pending, []
            await self._commit(batch)
        if self._retry is not None:
            self._retry.cancel()
        if self._store is not None:
            await self._run(self._store.close)

    def _enqueue(self, pending: _PendingWrite[V]) -> None:
        self._pending.append(pending)
        self._drop_oldest()
        if not self.healthy:
            pending.publish(None, self._on_committed)
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    def _drop_oldest(self) -> None:
        while len(self._pending) > BACKLOG_LIMIT:
            self._give_up(self._pending.pop(0), JournalUnavailableError(message("journal_backlog_full")))

    def _give_up(self, pending: _PendingWrite[V], error: Exception) -> None:
        """It will not be written; whoever waits for it hears so."""
        self.dropped += 1
        pending.settle(error)
        pending.publish(None, self._on_committed)

    async def _flush(self) -> None:
        try:
            while self._pending and self.healthy:
                batch, self._pending = self._pending, []
                await self._commit(batch)
        finally:
            self._flushing = None

    async def _commit(self, batch: list[_PendingWrite[V]]) -> bool:
        """Write the batch and tell of it; False where the file cannot be written, and the batch waits again."""
        writes = [pending.write for pending in batch]
        try:
            numbers = await self._run(lambda: self._write(writes))
        except (sqlite3.Error, OSError) as error:
            self._put_back(batch, error)
            return False
        except Exception as error:
            logger.exception("entries that cannot be stored are given up")
            for pending in batch:
                self._give_up(pending, error)
            return True
        for pending in batch:
            pending.settle()
        for pending, number in zip(batch, numbers, strict=True):
            pending.publish(number, self._on_committed)
        return True

    def _write(self, writes: list[Write]) -> list[int | None]:
        """In the thread. A file that was in trouble is tried before it is trusted."""
        if self._store is None:
            self._store = self._open_store()
        if not self.healthy:
            self._store.try_writing()
        return self._store.write(writes)

    def _put_back(self, batch: list[_PendingWrite[V]], error: Exception) -> None:
        """Refuse what asked for durability and keep the rest for later."""
        for pending in batch:
            pending.settle(error)
        self._pending = [pending for pending in batch if pending.receipt is None] + self._pending
        self._drop_oldest()
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Stop promising, say so, and try again in a while."""
        if self.healthy:
            logger.error("the journal cannot be written, so nothing is submitted until it can: {}", error)
            self.healthy = False
            self._on_health(False)
        for pending in self._pending:
            pending.settle(error)
            pending.publish(None, self._on_committed)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._recover())

    async def _recover(self) -> None:
        """Write what waits; only when that succeeds is the journal healthy again."""
        batch, self._pending = self._pending, []
        try:
            recovered = await self._commit(batch)
        finally:
            self._flushing = None
        if recovered:
            self.healthy = True
            logger.info("the journal can be written again; {} entries were lost meanwhile", self.dropped)
            self._on_health(True)
        if self._pending and self.healthy and self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())


class WriterThread:
    """A `ThreadRunner` with one thread of its own."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run the call in the thread."""
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the thread's end."""
        self._executor.shutdown()
