"""The journal of a node: what happens goes into the log that all nodes share, and from there into each node's own file.

Every node reads that log in its order and copies it; the copy is what is asked and replayed, and only what is copied is
told. So an entry has the same number everywhere. Attempts go into the servers' records. While the store does not
answer, entries wait, are told without a number, and nothing durable is promised: so nothing is submitted. The same
holds while our own file cannot be written: what comes is told without a number, and read again once the file is well.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.cluster.membership import Membership
from statemachine.cluster.outbox import Outbox, publish_safely
from statemachine.cluster.owned_records import LostError
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.records import UNREADABLE, Record, SharedEntry, told_from
from statemachine.cluster.store import CutOffError, Dataset, Kept, SharedStore
from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import message
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.journal.journal import Journal, ThreadRunner
from statemachine.journal.port import JournalUnavailableError, OnCommitted, OnHealth, SavedState
from statemachine.journal.rows import Row, attempt_row
from statemachine.journal.store import JournalStore

ROOM = 1_000
"""Entries and attempts that may wait for the file. It drops those that are too many: it is not given so many."""
ROOM_LOOK_S = 0.01
SHOWN_EVERY_S = 0.25

Accepts = Callable[[str, ServerView], bool]
"""Return whether the node of this session may say so of a server."""


@dataclass(frozen=True, slots=True)
class CopyFile:
    """This node's own file: how to open it, and the thread in which its calls run."""

    open_store: Callable[[], JournalStore]
    run: ThreadRunner


@dataclass(frozen=True, slots=True)
class JournalListeners:
    """`on_committed` publishes an entry, `accepts` vets other nodes' lines, `on_health` receives health changes."""

    on_committed: OnCommitted
    accepts: Accepts
    on_health: OnHealth


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A server's line after an entry of the shared log. `sender` is another node's session, None for our own."""

    view: ServerView | None
    sender: str | None


class SharedJournal:
    """See JournalPort. Entries are published once they are in this node's copy of the shared log."""

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
        self._own = ownership.records
        self._listeners = listeners
        self._copy = Journal[_Arrival](copy.open_store, copy.run, self._publish, self._look_at_health)
        self.file = self._copy.file
        self._outbox = Outbox(store, membership, listeners.on_committed, self._look_at_health)
        self._past_is_read = False
        self._handed = 0
        self._heard = 0
        self._is_behind = False
        self._until_well: asyncio.Timeout | None = None
        self._shown: dict[str, Row] = {}
        self._to_show: dict[str, Row] = {}
        self._was_healthy = True

    async def open(self) -> None:
        """Open the copy."""
        await self._copy.open()

    async def run(self) -> None:
        """Send what is appended and copy what comes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._outbox.run())
            tasks.create_task(self._follow())
            tasks.create_task(self._show_attempts())

    async def close(self) -> None:
        """Close the copy. What is still to be sent is lost; `Outbox.run` has had its time."""
        await self._copy.close()

    @property
    def healthy(self) -> bool:
        """See JournalPort."""
        return self._outbox.healthy and self._copy.healthy

    @property
    def waiting(self) -> int:
        """See JournalPort."""
        return len(self._outbox) + self._own.unwritten + self._copy.waiting

    @property
    def dropped(self) -> int:
        """See JournalPort."""
        return self._outbox.dropped + self._copy.dropped

    def append(self, entry: LogEntry | None, attempt: Attempt | None, view: ServerView | None = None) -> None:
        """See JournalPort."""
        if view is not None:
            self._own.change(view.name, view=view, paused=view.state is State.PAUSED)
        if attempt is not None:
            self._own.change(attempt.server, attempt=attempt_row(attempt))
            self._show_own(attempt)
        if entry is not None:
            self._outbox.put(entry, view)

    async def append_durably(self, attempt: Attempt) -> None:
        """See JournalPort: most of the store's servers have it."""
        if not self.healthy:
            raise JournalUnavailableError(message("shared_journal_not_writable"))
        try:
            await self._own.change(attempt.server, attempt=attempt_row(attempt))
        except LostError as error:
            raise JournalUnavailableError(message("server_lost", server=attempt.server)) from error
        except CutOffError as error:
            raise JournalUnavailableError(message("cluster_not_answering", error=str(error))) from error
        self._show_own(attempt)

    async def saved_states(self, servers: Collection[str]) -> Mapping[str, SavedState]:
        """See JournalPort: of those that are ours."""
        records = {name: self._own[name] for name in servers if name in self._own}
        return {name: record.past for name, record in records.items() if record.view is not None or record.attempt}

    async def answers(self) -> None:
        """See JournalPort."""
        await self._copy.answers()

    async def emptied(self) -> None:
        """Return once nothing is left to be sent."""
        await self._outbox.wait_empty()

    def on_record(self, server: str, record: Record) -> None:
        """Show the attempt of another node's server here too, soon."""
        row = record.attempt
        if not self._ownership.owns(server) and row is not None and self._shown.get(row[1]) != row:
            self._shown[row[1]] = self._to_show[row[1]] = row

    def _show_own(self, attempt: Attempt) -> None:
        self._to_show.pop(attempt.server, None)
        self._shown.pop(attempt.server, None)
        self._copy.append(None, attempt)

    async def _show_attempts(self) -> None:
        while True:
            await asyncio.sleep(SHOWN_EVERY_S)
            while self._to_show and self._copy.healthy and self._copy.waiting < ROOM:
                self._copy.append_row(self._to_show.pop(next(iter(self._to_show))))

    def _look_at_health(self, _: bool) -> None:
        """Of our two, the one that is worse counts. What our own file has missed is read again once it is well."""
        if self._is_behind and self._copy.healthy and self._until_well is not None:
            self._until_well.reschedule(asyncio.get_running_loop().time())
            self._until_well = None
        if self.healthy != self._was_healthy:
            self._was_healthy = self.healthy
            self._listeners.on_health(self.healthy)

    # The log that all share

    async def _follow(self) -> None:
        """What was there at the start is old news: it is copied and not told."""
        while True:
            after = await self._resume()
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as self._until_well:
                    await self._read(after)

    async def _read(self, after: int) -> None:
        async with aclosing(self._store.follow(Dataset.LOG, after)) as batches:
            async for batch in batches:
                for kept in batch.kept:
                    self._take(kept)
                self._past_is_read = self._past_is_read or batch.caught_up
                await self._until_there_is_room()

    async def _resume(self) -> int:
        """The number up to which the log is copied; where there is no file to copy into, up to which it was heard."""
        try:
            copied = await self._copy.file.last_seq()
        except JournalUnavailableError as error:
            logger.debug("the copy of the journal cannot be read: {}", error)
            self._is_behind = True
            return self._heard
        self._is_behind = not self._copy.healthy
        self._handed = max(self._handed, copied)
        return self._handed

    async def _until_there_is_room(self) -> None:
        while self._copy.healthy and self._copy.waiting > ROOM:  # noqa: ASYNC110
            await asyncio.sleep(ROOM_LOOK_S)

    def _take(self, kept: Kept) -> None:
        """Copy the entry and have it told; what was told already, while it could not be copied, is only copied."""
        try:
            told = told_from(kept.value)
        except UNREADABLE as error:
            logger.warning("entry {} of the shared log is not understood: {!r}", kept.revision, error)
            return
        arrival = self._arrival(told) if kept.revision > self._heard else None
        self._heard = max(self._heard, kept.revision)
        self._is_behind = self._is_behind or not self._copy.healthy
        if self._is_behind:
            publish_safely(self._publish, told.entry, arrival)
        else:
            self._handed = kept.revision
            self._copy.append(told.entry.numbered(kept.revision), None, arrival)

    def _arrival(self, told: SharedEntry) -> _Arrival | None:
        """Return what is to be published: ours unless it was published already, another node's unless it is old."""
        if self._outbox.has_sent(told.id):
            return _Arrival(told.view, None) if self._outbox.confirm(told.id) else None
        return _Arrival(told.view, told.session) if self._past_is_read else None

    def _publish(self, entry: LogEntry, arrival: _Arrival | None) -> None:
        """Publish an entry of the shared log. Another node's line counts only if that node may say so."""
        if arrival is None:
            return
        view, sender = arrival.view, arrival.sender
        if view is not None and sender is not None and not self._listeners.accepts(sender, view):
            view = None
        self._listeners.on_committed(entry, view)
