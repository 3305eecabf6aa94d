"""The owners of each server over time, read from the bucket `servers`."""

import asyncio
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import NamedTuple

from campaigns.kill.process import POLL_S
from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.records import record_from
from statemachine.cluster.store import Dataset, SharedStore, StoredValue


class Owned(NamedTuple):
    """The owner from `at` on; None if the server has no owner."""

    at: float
    node: str | None
    session: str | None


NO_OWNER = Owned(float("-inf"), None, None)


class Owners:
    """The history of owners, filled while `watching`."""

    def __init__(self) -> None:
        self.history: dict[str, list[Owned]] = {}
        """Server → its owners, oldest first."""

    async def follow(self, store: SharedStore) -> None:
        async with aclosing(store.follow(Dataset.SERVERS)) as batches:
            async for batch in batches:
                for stored in batch.values:
                    self._see(stored)

    def now(self, server: str) -> Owned:
        return self.history.get(server, [NO_OWNER])[-1]

    def of(self, node: str) -> set[str]:
        """Return the servers that a node owns."""
        return {server for server in self.history if self.now(server).node == node}

    def counts(self) -> Counter[str | None]:
        """Return the number of servers of each node."""
        return Counter(self.now(server).node for server in self.history)

    def sessions(self, node: str) -> set[str]:
        """Return all sessions in which a node has owned a server."""
        past = (owned for all_of_one in self.history.values() for owned in all_of_one)
        return {owned.session for owned in past if owned.node == node and owned.session is not None}

    def during(self, server: str, begin: float, end: float) -> list[Owned]:
        """Return all owners of a server between two times."""
        past = self.history.get(server, [])
        first = bisect_right(past, begin, key=lambda owned: owned.at) - 1
        return [owned for owned in past[max(first, 0) :] if owned.at <= end]

    async def takeover_times(
        self, servers: Collection[str], dead: Collection[str], since: float, within_s: float
    ) -> list[float]:
        """Return the seconds from `since` until each server had an owner outside the `dead` sessions."""
        give_up = time.monotonic() + within_s
        while any(self._first_after(one, dead, since) is None for one in servers):
            if time.monotonic() > give_up:
                break
            await asyncio.sleep(POLL_S)
        firsts = (self._first_after(server, dead, since) for server in servers)
        return [first.at - since for first in firsts if first is not None]

    def unowned(self) -> list[str]:
        """Return the servers without an owner."""
        return [one for one in self.history if self.now(one).session is None]

    def handover_times(self) -> list[float]:
        """Return the seconds without an owner of each handover."""
        steps = (step for past in self.history.values() for step in pairwise(past))
        return [later.at - earlier.at for earlier, later in steps if earlier.session is None]

    def _first_after(self, server: str, dead: Collection[str], since: float) -> Owned | None:
        past = self.history.get(server, [])
        alive = (owned for owned in past if owned.at >= since and owned.session is not None)
        return next((owned for owned in alive if owned.session not in dead), None)

    def _see(self, stored: StoredValue) -> None:
        record, past = record_from(stored), self.history.setdefault(stored.key, [])
        if record is not None and (not past or past[-1].session != record.session):
            past.append(Owned(time.monotonic(), record.node, record.session))


@asynccontextmanager
async def watching(urls: list[str]) -> AsyncIterator[Owners]:
    """Follow the owners over a separate connection."""
    async with connected(NatsOptions(urls=urls, name="campaign")) as store:
        owners = Owners()
        task = asyncio.create_task(owners.follow(store))
        try:
            yield owners
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
