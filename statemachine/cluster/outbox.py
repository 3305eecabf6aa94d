"""Entries on their way into the shared log: sent in order for each server, several servers' at once."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loguru import logger

from statemachine.cluster.records import SharedEntry
from statemachine.cluster.store import CutOffError, SharedStore
from statemachine.core.log_entry import LogEntry
from statemachine.core.view import ServerView
from statemachine.journal.port import OnCommitted

LIMIT = 10_000
AT_ONCE = 64
AGAIN_S = 0.5
RETURNS_WITHIN = 10_000
"""Entries sent and not yet read back whose listeners are remembered."""


def tell(listener: OnCommitted | None, entry: LogEntry) -> None:
    """A fault of a listener is nobody else's."""
    try:
        if listener is not None:
            listener(entry)
    except Exception:
        logger.exception("a listener of the journal failed; the others are told all the same")


@dataclass(slots=True, eq=False)
class _Waiting:
    told: SharedEntry
    listener: OnCommitted | None
    has_returned: bool = False

    def tell(self) -> None:
        """Without a number, once."""
        listener, self.listener = self.listener, None
        tell(listener, self.told.entry)


class Outbox:
    """`session` gives the session under which an entry is told. `on_health` hears of each change of `healthy`."""

    def __init__(self, store: SharedStore, session: Callable[[], str], new_id: Callable[[], str]) -> None:
        self._store = store
        self._session = session
        self._new_id = new_id
        self._waiting: list[_Waiting] = []
        self._returning: dict[str, _Waiting] = {}
        self._wake = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self.healthy = True
        self.dropped = 0
        self.on_health: Callable[[bool], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: LogEntry, view: ServerView | None, listener: OnCommitted | None) -> None:
        """Send the entry; `listener` hears of it when it has come back with its number, or now while it must wait."""
        waiting = _Waiting(SharedEntry(self._new_id(), self._session(), entry, view), listener)
        self._waiting.append(waiting)
        self._is_empty.clear()
        if not self.healthy:
            waiting.tell()
        if len(self._waiting) > LIMIT:
            self._waiting.pop(0).tell()
            self.dropped += 1
        self._wake.set()

    def knows(self, entry_id: str) -> bool:
        """Whether it is one of ours that has not come back yet."""
        return entry_id in self._returning

    def teller(self, entry_id: str) -> OnCommitted | None:
        """Who is to hear that it has come back; None where that was told already. It need not be sent again."""
        returned = self._returning.pop(entry_id)
        returned.has_returned = True
        return returned.listener

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
                waiting.tell()
        self.on_health(healthy)
