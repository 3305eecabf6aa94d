"""The journal of a node: what happens goes into the log that all nodes share, and from there into each node's own file.

Every node reads that log in its order and copies it; the copy is what is asked and replayed, and only what is copied is
told. So an entry has the same number everywhere. Attempts go into the servers' records. While the store does not
answer, entries wait, are told without a number, and nothing durable is promised: so nothing is submitted.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import TypeVar

from loguru import logger

from statemachine.cluster.outbox import Outbox
from statemachine.cluster.own_records import LostError, OwnRecords
from statemachine.cluster.records import Record, Told, told_from
from statemachine.cluster.store import CutOffError, Kept, SharedStore, Source
from statemachine.core.attempt import Attempt
from statemachine.core.log import LogEntry
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalUnavailableError, OnTold, Past
from statemachine.journal.rows import attempt_row
from statemachine.journal.store import JournalStore

T = TypeVar("T")

HeardFrom = Callable[[str, ServerView | None, LogEntry], None]
"""Takes the session of the node that tells it, the server's line after the entry, and the entry."""


class SharedJournal:
    """See JournalPort. `copy` is this node's own file; `on_heard` hears of other nodes' entries once they are in it."""

    def __init__(self, store: SharedStore, copy: Journal, own: OwnRecords, outbox: Outbox) -> None:
        self._store = store
        self._copy = copy
        self._own = own
        self._outbox = outbox
        self._past_is_read = False
        self.on_heard: HeardFrom = lambda _session, _view, _entry: None

    async def open(self) -> None:
        """Open the copy."""
        await self._copy.open()

    async def run(self) -> None:
        """Send what is appended and copy what comes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._outbox.run())
            tasks.create_task(self._follow())

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

    def append(
        self,
        entry: LogEntry | None,
        attempt: Attempt | None,
        told: OnTold | None = None,
        view: ServerView | None = None,
    ) -> None:
        """See JournalPort."""
        if view is not None:
            self._own.change(view.name, view=view, paused=view.state is State.PAUSED)
        if attempt is not None:
            self._own.change(attempt.server, attempt=attempt_row(attempt))
            self._copy.append(None, attempt)
        if entry is not None:
            self._outbox.put(entry, view, told)

    async def append_durably(self, attempt: Attempt) -> None:
        """See JournalPort: most of the store's servers have it."""
        if not self.healthy:
            raise JournalUnavailableError("the journal that all nodes share cannot be written")
        try:
            await self._own.change(attempt.server, attempt=attempt_row(attempt))
        except (CutOffError, LostError) as error:
            raise JournalUnavailableError(str(error)) from error
        self._copy.append(None, attempt)

    async def pasts(self) -> Mapping[str, Past]:
        """See JournalPort: of the servers that are ours."""
        records = {name: self._own[name] for name in self._own}
        return {name: record.past for name, record in records.items() if record.view is not None or record.attempt}

    async def read(self, query: Callable[[JournalStore], T]) -> T:
        """See JournalPort."""
        return await self._copy.read(query)

    async def answers(self) -> None:
        """See JournalPort."""
        await self._copy.answers()

    def heard_of(self, record: Record) -> None:
        """Another node's record: its attempt is shown here too."""
        if record.attempt is not None:
            self._copy.append_row(record.attempt)

    async def _follow(self) -> None:
        """What was there at the start is old news: it is copied and not told."""
        after = await self._copied()
        async with aclosing(self._store.follow(Source.LOG, after)) as batches:
            async for batch in batches:
                for kept in batch.kept:
                    self._take(kept)
                self._past_is_read = self._past_is_read or batch.caught_up

    async def _copied(self) -> int:
        """The number up to which the log is copied. Without a file there is nothing to copy into."""
        while True:
            try:
                return await self._copy.read(JournalStore.last_seq)
            except JournalUnavailableError as error:
                logger.debug("the copy of the journal cannot be read: {}", error)
                await asyncio.sleep(1.0)

    def _take(self, kept: Kept) -> None:
        try:
            told = told_from(kept.value)
        except (ValueError, TypeError, KeyError):
            logger.warning("entry {} of the shared log is not understood", kept.revision)
            return
        self._copy.append(told.entry.numbered(kept.revision), None, self._teller(told))

    def _teller(self, told: Told) -> OnTold | None:
        """Who is to be told of it: whoever appended it here, or all if it comes from elsewhere."""
        if self._outbox.knows(told.id):
            return self._outbox.teller(told.id)
        if not self._past_is_read:
            return None
        return lambda entry: self.on_heard(told.session, told.view, entry)
