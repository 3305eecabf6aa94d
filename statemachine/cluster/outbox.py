"""The entries that are on their way to the shared log: in order for each server, several servers at a time."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from loguru import logger

from statemachine.cluster.membership import Membership
from statemachine.cluster.records import SharedEntry
from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.core.log_entry import LogEntry
from statemachine.core.server import ServerView
from statemachine.journal.port import OnCommitted, OnHealth

QUEUE_LIMIT = 10_000
CONCURRENT_SENDS = 64
RETRY_S = 0.5
SENT_LIMIT = 10_000
"""Sent entries that are remembered until they are read back from the log."""

T = TypeVar("T")


def publish_safely(publish: Callable[[LogEntry, T], None], entry: LogEntry, beside: T) -> None:
    """Publish an entry; log an unexpected exception, which must not stop the other entries."""
    try:
        publish(entry, beside)
    except Exception:
        logger.exception("an entry could not be published; later entries are published all the same")


@dataclass(slots=True, eq=False)
class _QueuedEntry:
    shared: SharedEntry
    is_published: bool = False
    is_in_log: bool = False


class Outbox:
    """Send entries with our current session.

    `publish` receives, without a number, each entry that must wait; `on_health` receives each change of `healthy`.
    """

    def __init__(
        self,
        store: SharedStore,
        membership: Membership,
        publish: OnCommitted,
        on_health: OnHealth,
    ) -> None:
        self._store = store
        self._membership = membership
        self._queue: list[_QueuedEntry] = []
        self._sent: dict[str, _QueuedEntry] = {}
        self._wake = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self.healthy = True
        self.dropped = 0
        self._publish = publish
        self._on_health = on_health

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, entry: LogEntry, view: ServerView | None) -> None:
        """Queue the entry. While the store is cut off, also publish it at once, without a number."""
        queued = _QueuedEntry(SharedEntry(self._membership.new_id(), self._membership.session, entry, view))
        self._queue.append(queued)
        self._is_empty.clear()
        if not self.healthy:
            self._publish_unnumbered(queued)
        if len(self._queue) > QUEUE_LIMIT:
            self._publish_unnumbered(self._queue.pop(0))
            self.dropped += 1
        self._wake.set()

    def has_sent(self, entry_id: str) -> bool:
        """Return whether the entry is ours and has not been read back before."""
        return entry_id in self._sent

    def confirm(self, entry_id: str) -> bool:
        """Mark a sent entry as read back, so that it is not sent again; return whether it is still unpublished."""
        queued = self._sent.pop(entry_id)
        queued.is_in_log = True
        return not queued.is_published

    def _publish_unnumbered(self, queued: _QueuedEntry) -> None:
        if not queued.is_published:
            queued.is_published = True
            publish_safely(self._publish, queued.shared.entry, queued.shared.view)

    async def wait_empty(self) -> None:
        """Return once all entries have been sent."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Send entries until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                if not await self._send(list(self._next_batch())):
                    await asyncio.sleep(RETRY_S)

    def _next_batch(self) -> Iterator[_QueuedEntry]:
        """Yield the oldest entry of each server, which later ones must not overtake."""
        servers: set[str | None] = set()
        for queued in self._queue:
            if queued.shared.entry.server not in servers:
                servers.add(queued.shared.entry.server)
                yield queued
            if len(servers) == CONCURRENT_SENDS:
                return

    async def _send(self, batch: list[_QueuedEntry]) -> bool:
        """Return whether all entries of the batch are in the log."""
        sent = await asyncio.gather(*(self._send_one(queued) for queued in batch))
        done = {id(queued) for queued, is_sent in zip(batch, sent, strict=True) if is_sent}
        self._queue = [queued for queued in self._queue if id(queued) not in done]
        self._set_health(healthy=all(sent))
        if not self._queue:
            self._is_empty.set()
        return all(sent)

    async def _send_one(self, queued: _QueuedEntry) -> bool:
        if queued.is_in_log:
            return True
        self._sent[queued.shared.id] = queued
        while len(self._sent) > SENT_LIMIT:
            self._sent.pop(next(iter(self._sent)))
        try:
            await self._store.append(queued.shared.encoded(), queued.shared.id)
        except StoreUnavailableError as error:
            logger.debug("an entry could not be sent: {}", error)
            return False
        return True

    def _set_health(self, *, healthy: bool) -> None:
        if healthy == self.healthy:
            return
        self.healthy = healthy
        if healthy:
            logger.info("the shared log can be written again")
        else:
            logger.error("the shared log cannot be written; nothing is submitted until it can")
            for queued in list(self._queue):
                self._publish_unnumbered(queued)
        self._on_health(healthy)
