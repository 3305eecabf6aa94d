"""The journal of a node: entries go to the log that all nodes share, and from there to each node's own file.

Every node copies the shared log in order and publishes only copied entries, so an entry has the same number on all
nodes. Attempts go to the servers' records. While the store is cut off or the node's file cannot be written, entries are
published without a number and attempts cannot be made durable, so nothing is submitted. Entries wait for the store, and
the file catches up from the shared log.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from loguru import logger
from typing_extensions import override

from statemachine.cluster.membership import Membership
from statemachine.cluster.outbox import Outbox, publish_safely
from statemachine.cluster.owned_records import OwnershipLostError
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.records import Record, SharedEntry, shared_entry_from
from statemachine.cluster.store import Dataset, SharedStore, StoredValue, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable
from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import Message, message
from statemachine.core.pause import Pause, described_pause
from statemachine.core.repetition import Streak
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt, ServerView
from statemachine.core.vocabulary import State
from statemachine.journal.file import JournalFile
from statemachine.journal.journal import Journal, ThreadRunner
from statemachine.journal.port import JournalPort, JournalUnavailableError, OnCommitted, OnHealth, SavedState
from statemachine.journal.restart_rows import restart_row
from statemachine.journal.rows import Row, attempt_row
from statemachine.journal.store import JournalStore

COPY_QUEUE_LIMIT = 1_000
"""Writes that may wait for the file before reading pauses; the file's own limit would drop some."""
COPY_QUEUE_POLL_S = 0.01
COPY_PATIENCE_S = 5.0
ENTRIES_READ = 20
"""Entries of a server among which its last transition is; the others are notices."""
ATTEMPTS_INTERVAL_S = 0.25

Accepts = Callable[[str, ServerView], bool]
"""Return whether the node with this session owns the server of the view."""


@dataclass(frozen=True, slots=True)
class CopyFile:
    """This node's own file: how to open it, and the thread in which its calls run."""

    open_store: Callable[[], JournalStore]
    run: ThreadRunner


@dataclass(frozen=True, slots=True)
class JournalListeners:
    """`on_committed` publishes an entry, `accepts` checks other nodes' views, `on_health` receives health changes."""

    on_committed: OnCommitted
    accepts: Accepts
    on_health: OnHealth


@dataclass(frozen=True, slots=True)
class _Received:
    """A server's view after an entry of the shared log. `sender` is another node's session, None for our own."""

    view: ServerView | None
    sender: str | None


class SharedJournal(JournalPort):
    """Publish entries once they are in this node's copy of the shared log."""

    def __init__(
        self,
        store: SharedStore,
        membership: Membership,
        ownership: LeasedOwnership,
        copy: CopyFile,
        listeners: JournalListeners,
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._records = ownership.records
        self._listeners = listeners
        self._copy = Journal[_Received](copy.open_store, copy.run, self._publish, self._on_health)
        self._outbox = Outbox(store, membership, listeners.on_committed, self._on_health)
        self._is_caught_up = False
        self._copied_seq = 0
        self._received_seq = 0
        self._copy_is_behind = False
        self._reading: asyncio.Timeout | None = None
        self._other_attempts: dict[str, Row] = {}
        self._uncopied_attempts: dict[str, Row] = {}
        self._was_healthy = True
        self._unreadable = Unreadable("the shared log's entry")

    async def open(self) -> None:
        """Open the copy."""
        await self._copy.open()

    async def run(self) -> None:
        """Send entries and copy the shared log until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._outbox.run())
            tasks.create_task(self._follow())
            tasks.create_task(self._copy_attempts())

    async def close(self) -> None:
        """Close the copy. Entries that were not sent are lost; `wait_sent` waits for them."""
        await self._copy.close()

    @property
    @override
    def file(self) -> JournalFile:
        return self._copy.file

    @property
    @override
    def healthy(self) -> bool:
        return self._outbox.healthy and self._copy.healthy

    @property
    @override
    def trouble(self) -> Message:
        return self._copy.trouble or message("shared_journal_not_writable")

    @property
    @override
    def waiting(self) -> int:
        return len(self._outbox) + self._records.unwritten + self._copy.waiting

    @property
    @override
    def dropped(self) -> int:
        return self._outbox.dropped + self._copy.dropped

    @override
    def append(self, entry: LogEntry | None, attempt: Attempt | None, view: ServerView | None = None) -> None:
        if view is not None:
            self._show(view)
        if attempt is not None:
            self._records.change(attempt.server, attempt=attempt_row(attempt))
            self._copy_own(attempt)
        if entry is not None:
            self._outbox.put(entry, view)

    def _show(self, view: ServerView) -> None:
        """Store the view in the server's record, and whether its next owner resumes a pause."""
        self._records.change(view.name, view=view, paused=view.state is State.PAUSED)

    @override
    def save_streak(self, server: str, streak: Streak) -> None:
        self._records.change(server, streak=streak)

    @override
    def save_pause(self, server: str, pause: Pause) -> None:
        self._records.change(server, pause=pause)

    @override
    def save_restart(self, restart: Restart) -> None:
        self._records.change(restart.server, restart=restart_row(restart))

    @override
    async def record_restart(self, restart: Restart) -> None:
        await self._change_durably(restart.server, restart=restart_row(restart))

    @override
    async def append_durably(self, attempt: Attempt) -> None:
        await self._change_durably(attempt.server, attempt=attempt_row(attempt))
        self._copy_own(attempt)

    async def _change_durably(self, server: str, **changes: Row) -> None:
        """Return once the server's record is written. Raises JournalUnavailableError."""
        await self._copy.ping()
        if not self.healthy:
            raise JournalUnavailableError(self.trouble)
        try:
            await self._records.change(server, **changes)
        except OwnershipLostError as error:
            raise JournalUnavailableError(message("server_lost", server=server)) from error
        except StoreUnavailableError as error:
            raise JournalUnavailableError(message("cluster_not_answering", error=str(error))) from error

    @override
    async def saved_states(self, servers: Collection[str]) -> Mapping[str, SavedState]:
        await self._restore_terms([name for name in self._owned(servers) if self._records[name].has_lost_terms])
        records = {name: self._records[name] for name in self._owned(servers)}
        return {name: record.saved_state for name, record in records.items() if record.has_content}

    def _owned(self, servers: Collection[str]) -> list[str]:
        return [name for name in servers if name in self._records]

    async def _restore_terms(self, servers: Sequence[str]) -> None:
        """Take the terms of pauses that a node of an older version has dropped from the records from the log."""
        if not servers:
            return
        await self._wait_copied()
        with suppress(JournalUnavailableError):
            histories = await self._copy.file.histories(servers, max_attempts=0, max_entries=ENTRIES_READ)
            for name, history in zip(servers, histories, strict=True):
                last = next((entry for entry in history.entries if entry.dest is not None), None)
                if last is not None and last.dest is State.PAUSED and name in self._records:
                    self._records.change(name, pause=described_pause(last.message))

    async def _wait_copied(self) -> None:
        """Wait until the copy has what was in the shared log, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(COPY_PATIENCE_S):
                while not self._is_caught_up or self._copy.waiting:  # noqa: ASYNC110
                    await asyncio.sleep(COPY_QUEUE_POLL_S)

    @override
    async def ping(self) -> None:
        await self._copy.ping()

    async def wait_sent(self) -> None:
        """Return once all entries have been sent to the shared log."""
        await self._outbox.wait_empty()

    # Attempts

    def on_record(self, server: str, record: Record) -> None:
        """Copy the latest attempt of another node's server soon, so that this node shows it."""
        row = record.attempt
        if row is None:
            self._other_attempts.pop(server, None)
        elif not self._ownership.owns(server) and self._other_attempts.get(row[1]) != row:
            self._other_attempts[row[1]] = self._uncopied_attempts[row[1]] = row

    def _copy_own(self, attempt: Attempt) -> None:
        self._uncopied_attempts.pop(attempt.server, None)
        self._other_attempts.pop(attempt.server, None)
        self._copy.append(None, attempt)

    async def _copy_attempts(self) -> None:
        while True:
            await asyncio.sleep(ATTEMPTS_INTERVAL_S)
            while self._uncopied_attempts and self._copy.healthy and self._copy.waiting < COPY_QUEUE_LIMIT:
                self._copy.append_row(self._uncopied_attempts.pop(next(iter(self._uncopied_attempts))))

    def _on_health(self, _: bool) -> None:
        """Report health of outbox and copy together. Once the copy is healthy, read again what it has missed."""
        if self._copy_is_behind and self._copy.healthy and self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())
            self._reading = None
        if self.healthy != self._was_healthy:
            self._was_healthy = self.healthy
            self._listeners.on_health(self.healthy)

    # The shared log

    async def _follow(self) -> None:
        """Copy the log. Entries from before the start are not published."""
        while True:
            after = await self._resume_after()
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as self._reading:
                    await self._read(after)

    async def _read(self, after: int) -> None:
        async with aclosing(self._store.follow(Dataset.LOG, after)) as batches:
            async for batch in batches:
                for stored in batch.values:
                    self._on_entry(stored)
                self._is_caught_up = self._is_caught_up or batch.caught_up
                await self._wait_for_copy()

    async def _resume_after(self) -> int:
        """Return the number of the last copied entry, or of the last received one if the file cannot be read."""
        try:
            copied = await self._copy.file.last_seq()
        except JournalUnavailableError as error:
            logger.debug("the copy of the journal cannot be read: {}", error)
            self._copy_is_behind = True
            return self._received_seq
        self._copy_is_behind = not self._copy.healthy
        self._copied_seq = max(self._copied_seq, copied)
        return self._copied_seq

    async def _wait_for_copy(self) -> None:
        while self._copy.healthy and self._copy.waiting > COPY_QUEUE_LIMIT:  # noqa: ASYNC110
            await asyncio.sleep(COPY_QUEUE_POLL_S)

    def _on_entry(self, stored: StoredValue) -> None:
        """Copy the entry and publish it; an entry that was published before it could be copied is only copied."""
        try:
            shared = shared_entry_from(stored.value)
        except DECODE_ERRORS as error:
            self._unreadable.report(str(stored.revision), error)
            return
        received = self._to_publish(shared) if stored.revision > self._received_seq else None
        self._received_seq = max(self._received_seq, stored.revision)
        self._copy_is_behind = self._copy_is_behind or not self._copy.healthy
        if self._copy_is_behind:
            publish_safely(self._publish, shared.entry, received)
        else:
            self._copied_seq = stored.revision
            self._copy.append(shared.entry.numbered(stored.revision), None, received)

    def _to_publish(self, shared: SharedEntry) -> _Received | None:
        """Return what to publish, or None for our own entry that was published and another node's old one."""
        if self._outbox.has_sent(shared.id):
            return _Received(shared.view, None) if self._outbox.confirm(shared.id) else None
        return _Received(shared.view, shared.session) if self._is_caught_up else None

    def _publish(self, entry: LogEntry, received: _Received | None) -> None:
        """Publish an entry of the shared log, without a view that its sender may not report."""
        if received is None:
            return
        view, sender = received.view, received.sender
        if view is not None and sender is not None and not self._listeners.accepts(sender, view):
            view = None
        self._listeners.on_committed(entry, view)
