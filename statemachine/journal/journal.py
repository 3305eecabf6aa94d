"""The journal of a daemon: appends are batched, committed in a thread, and published in order.

An entry is published with its sequence number only after it is committed, so a client that has received a number finds
the entry after any crash. While the file cannot be written, entries wait in a bounded backlog and are published without
a number, and `append_durably` raises, so that no prompt is submitted.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, Protocol, TypeVar

from loguru import logger

from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import NO_MESSAGE, Message, message
from statemachine.core.pause import NO_PAUSE, Pause
from statemachine.core.repetition import NO_STREAK, Streak
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import State
from statemachine.journal.file import JournalFile
from statemachine.journal.pending import OnPublished, PendingWrite, message_of_error
from statemachine.journal.port import JournalUnavailableError, OnHealth, SavedState
from statemachine.journal.private import DataFolderError
from statemachine.journal.restart_rows import restart_row
from statemachine.journal.rows import Row, attempt_row, pause_row, streak_row
from statemachine.journal.store import JournalStore, Write

T = TypeVar("T")
V = TypeVar("V")

RETRY_S = 2.0
BACKLOG_LIMIT = 10_000
FILE_ERRORS = (sqlite3.Error, OSError, DataFolderError)
"""What a store raises for a file that cannot be used at the moment."""


class ThreadRunner(Protocol):
    """Runs blocking calls outside the event loop, one at a time and in order."""

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Return the call's result."""
        ...


class Journal(Generic[V]):
    """Owns the store and its thread. Call all methods on the event loop.

    `open_store` is called in the thread, and again until it succeeds. `on_committed` publishes each entry, `on_health`
    receives each change of `healthy`.
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
        self._pending: list[PendingWrite[V]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.file = JournalFile(self.with_store)
        self.healthy = True
        self.trouble: Message = NO_MESSAGE
        """Why the file cannot be written, while it is not healthy."""
        self.dropped = 0

    async def open(self) -> None:
        """Open the file. If that fails, log it and retry in the background.

        Raise DataFolderError if the file is a link or a device.
        """
        try:
            self._store = await self._run(self._open_store)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def append(self, entry: LogEntry | None, attempt: Attempt | None, view: V | None = None) -> None:
        """Write the entry and the attempt as they are now, and publish the entry once it is committed."""
        row = attempt_row(attempt) if attempt is not None else None
        self._enqueue(PendingWrite(Write(entry, row), view))

    def append_row(self, attempt: Row) -> None:
        """Write an attempt that is already a row."""
        self._enqueue(PendingWrite(Write(None, attempt)))

    def save_streak(self, server: str, streak: Streak) -> None:
        """Write the server's failures in a row, with the entries that are pending."""
        self._enqueue(PendingWrite(Write(streak=streak_row(server, streak))))

    def save_pause(self, server: str, pause: Pause) -> None:
        """Write the terms of the server's pause, with the entries that are pending."""
        self._enqueue(PendingWrite(Write(pause=pause_row(server, pause))))

    def save_restart(self, restart: Restart) -> None:
        """Write the server's latest restart, with the entries that are pending."""
        self._enqueue(PendingWrite(Write(restart=restart_row(restart))))

    async def append_durably(self, attempt: Attempt) -> None:
        """Return once the attempt is on disk. Raise JournalUnavailableError if it cannot be written."""
        await self._write_durably(Write(None, attempt_row(attempt), durable=True))

    async def record_restart(self, restart: Restart) -> None:
        """Return once the restart is on disk. Raise JournalUnavailableError if it cannot be written."""
        await self._write_durably(Write(restart=restart_row(restart), durable=True))

    async def _write_durably(self, write: Write) -> None:
        if not self.healthy:
            raise JournalUnavailableError(self.trouble)
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enqueue(PendingWrite(write, committed=committed))
        await committed

    async def saved_states(self, servers: Collection[str]) -> dict[str, SavedState]:
        """Return what an earlier run has saved of these servers."""
        return await self.with_store(partial(_saved_states, servers)) if servers else {}

    @property
    def waiting(self) -> int:
        """Return the number of pending writes, without those that are being committed."""
        return len(self._pending)

    async def with_store(self, call: Callable[[JournalStore], T]) -> T:
        """Call a function with the store, in the store's thread. Raise JournalUnavailableError if that fails."""
        store = self._store
        if store is None:
            raise JournalUnavailableError(message("journal_not_open"))
        try:
            return await self._run(lambda: _with_index(store, call))
        except FILE_ERRORS as error:
            raise JournalUnavailableError(message("journal_not_readable", error=message_of_error(error))) from error

    async def ping(self) -> None:
        """Verify in the thread that the file is still ours; return once that is known, and `healthy` says so.

        The call hangs if the thread does.
        """
        store = self._store
        if store is None:
            await self._run(lambda: None)
            return
        try:
            await self._run(lambda: _with_index(store, _verify))
        except DataFolderError as error:
            if self.healthy:
                self._fail(error)

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

    def _enqueue(self, pending: PendingWrite[V]) -> None:
        self._pending.append(pending)
        self._drop_oldest()
        if not self.healthy:
            pending.publish(None, self._on_committed)
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    def _drop_oldest(self) -> None:
        while len(self._pending) > BACKLOG_LIMIT:
            self._drop(self._pending.pop(0), JournalUnavailableError(message("journal_backlog_full")))

    def _drop(self, pending: PendingWrite[V], error: Exception) -> None:
        self.dropped += 1
        pending.resolve(error)
        pending.publish(None, self._on_committed)

    async def _flush(self) -> None:
        try:
            while self._pending and self.healthy:
                batch, self._pending = self._pending, []
                await self._commit(batch)
        finally:
            self._flushing = None

    async def _commit(self, batch: list[PendingWrite[V]]) -> bool:
        """Write and publish the batch. Return False if the file cannot be written; the batch is then pending again."""
        writes = [pending.write for pending in batch]
        try:
            numbers = await self._run(lambda: self._write(writes))
        except FILE_ERRORS as error:
            self._requeue(batch, error)
            return False
        except Exception as error:
            logger.exception("internal error while storing entries; they are dropped")
            for pending in batch:
                self._drop(pending, error)
            return True
        for pending in batch:
            pending.resolve()
        for pending, number in zip(batch, numbers, strict=True):
            pending.publish(number, self._on_committed)
        return True

    def _write(self, writes: list[Write]) -> list[int | None]:
        """Write in the thread. After a failure, test the file first, because the batch may be empty."""
        if self._store is None:
            self._store = self._open_store()
        if not self.healthy:
            self._store.test_write()
        return self._store.write(writes)

    def _requeue(self, batch: list[PendingWrite[V]], error: Exception) -> None:
        """Fail the durable writes of the batch and keep the others for later."""
        for pending in batch:
            pending.resolve(error)
        self._pending = [pending for pending in batch if pending.committed is None] + self._pending
        self._drop_oldest()
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Become unhealthy, publish what is pending, and schedule a retry."""
        before, self.trouble = self.trouble, message_of_error(error)
        if before.code != self.trouble.code:
            logger.error("cannot write the journal: {}; no prompt is submitted until it can be written", error)
        if self.healthy:
            self.healthy = False
            self._on_health(False)
        for pending in self._pending:
            pending.resolve(error)
            pending.publish(None, self._on_committed)
        self._retry_later()

    def _retry_later(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._recover())
        else:
            self._retry_later()  # a write that began before the failure has not ended yet

    async def _recover(self) -> None:
        """Write what is pending, and become healthy if that succeeds."""
        batch, self._pending = self._pending, []
        try:
            recovered = await self._commit(batch)
        finally:
            self._flushing = None
        if recovered:
            self.healthy, self.trouble = True, NO_MESSAGE
            logger.info("the journal can be written again; {} entries were dropped", self.dropped)
            self._on_health(True)
        if self._pending and self.healthy and self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush())


class WriterThread:
    """A `ThreadRunner` with its own thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run the call in the thread and return its result."""
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the thread to end."""
        self._executor.shutdown()


def _with_index(store: JournalStore, call: Callable[[JournalStore], T]) -> T:
    store.restore_index()
    return call(store)


def _saved_states(servers: Collection[str], store: JournalStore) -> dict[str, SavedState]:
    in_flight = {one.server: one for one in store.open_attempts(servers)}
    states, streaks = store.last_states(servers), store.streaks(servers)
    pauses, restarts = store.pauses(servers), store.restarts(servers)
    return {
        name: SavedState(
            in_flight.get(name),
            states.get(name) == State.PAUSED.value,
            streaks.get(name, NO_STREAK),
            pauses.get(name, NO_PAUSE),
            restarts.get(name),
        )
        for name in servers
        if name in states or name in in_flight
    }


def _verify(store: JournalStore) -> None:
    store.verify()
    store.last_seq()
