"""Entries on their way into the shared log: sent in order for each server, several servers' at once."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from loguru import logger

from statemachine.cluster.membership import Membership
from statemachine.cluster.records import SharedEntry
from statemachine.cluster.store import CutOffError, SharedStore
from statemachine.core.log_entry import LogEntry
from statemachine.core.view import ServerView
from statemachine.journal.port import OnCommitted, OnHealth

LIMIT = 10_000
AT_ONCE = 64
AGAIN_S = 0.5
RETURNS_WITHIN = 10_000
"""Entries sent and not yet read back that are remembered."""


T = TypeVar("T")


def publish_safely(publish: Callable[[LogEntry, T], None], entry: LogEntry, beside: T) -> None:
    """Publish an entry; log an unexpected exception, which must not stop the other entries."""
    try:
        publish(entry, beside)
    except Exception:
        logger.exception("an entry could not be published; later entries are published all the same")


@dataclass(slots=True, eq=False)
class _Waiting:
    told: SharedEntry
    is_published: bool = False
    has_returned: bool = False


class Outbox:
    """Sends entries under our present session.

    `publish` receives an entry that must wait, without a number; `on_health` each change of `healthy`.
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
        self._waiting: list[_Waiting] = []
        self._returning: dict[str, _Waiting] = {}
        self._wake = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self.healthy = True
        self.dropped = 0
        self._publish = publish
        self._on_health = on_health

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: LogEntry, view: ServerView | None) -> None:
        """Send the entry. While it must wait it is published at once, without a number."""
        waiting = _Waiting(SharedEntry(self._membership.new_id(), self._membership.session, entry, view))
        self._waiting.append(waiting)
        self._is_empty.clear()
        if not self.healthy:
            self._publish_unnumbered(waiting)
        if len(self._waiting) > LIMIT:
            self._publish_unnumbered(self._waiting.pop(0))
            self.dropped += 1
        self._wake.set()

    def knows(self, entry_id: str) -> bool:
        """Whether it is one of ours that has not come back yet."""
        return entry_id in self._returning

    def take_back(self, entry_id: str) -> bool:
        """Mark an entry as read back, so that it is not sent again; return whether it is still to be published."""
        returned = self._returning.pop(entry_id)
        returned.has_returned = True
        return not returned.is_published

    def _publish_unnumbered(self, waiting: _Waiting) -> None:
        if not waiting.is_published:
            waiting.is_published = True
            publish_safely(self._publish, waiting.told.entry, waiting.told.view)

    async def emptied(self) -> None:
        """Return once nothing is left to be sent."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not await self._send(list(self._next())):
                    await asyncio.sleep(AGAIN_S)

    def _next(self) -> Iterator[_Waiting]:
        """The oldest of each server: what follows it must not overtake it."""
        servers: set[str | None] = set()
        for waiting in self._waiting:
            if waiting.told.entry.server not in servers:
                servers.add(waiting.told.entry.server)
                yield waiting
            if len(servers) == AT_ONCE:
                return

    async def _send(self, batch: list[_Waiting]) -> bool:
        """Whether all of them are in the log."""
        sent = await asyncio.gather(*(self._send_one(waiting) for waiting in batch))
        done = {id(waiting) for waiting, is_sent in zip(batch, sent, strict=True) if is_sent}
        self._waiting = [waiting for waiting in self._waiting if id(waiting) not in done]
        self._set_health(healthy=all(sent))
        if not self._waiting:
            self._is_empty.set()
        return all(sent)

    async def _send_one(self, waiting: _Waiting) -> bool:
        if waiting.has_returned:
            return True
        self._returning[waiting.told.id] = waiting
        while len(self._returning) > RETURNS_WITHIN:
            self._returning.pop(next(iter(self._returning)))
        try:
            await self._store.append(waiting.told.encoded(), waiting.told.id)
        except CutOffError as error:
            logger.debug("an entry could not be sent: {}", error)
            return False
        return True

    def _set_health(self, *, healthy: bool) -> None:
        if healthy == self.healthy:
            return
        self.healthy = healthy
        if healthy:
            logger.info("the journal that all nodes share can be written again")
        else:
            logger.error("the journal that all nodes share cannot be written, so nothing is submitted until it can")
            for waiting in list(self._waiting):
                self._publish_unnumbered(waiting)
        self._on_health(healthy)
