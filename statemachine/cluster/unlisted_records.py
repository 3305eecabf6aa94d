"""Delete the records of servers that left the fleet, so that neither the store nor the nodes' memory grows.

Some are kept, because a server that comes again resumes its pause and its prompt. A record is deleted at the revision
at which it was free, so that what a node writes that acquires the server at the same time stays.
"""

import asyncio
from collections.abc import Callable

from loguru import logger

from statemachine.cluster.followers import RecordFollower
from statemachine.cluster.store import Dataset, SharedStore, StoreUnavailableError

MOST_KEPT = 20_000
"""Records of servers that this node does not list and no node looks after: as many as a fleet may have."""

KEPT_S = 3_600.0
"""The least time for which such a record is kept: a node that lists the server acquires it long before."""

LOOK_S = 60.0
BATCH = 100
"""Deletions at a time."""


class UnlistedRecords:
    """`lives` returns whether a session may own servers."""

    def __init__(
        self,
        store: SharedStore,
        records: RecordFollower,
        lives: Callable[[str, str], bool],
        steady: Callable[[], float],
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._store = store
        self._records = records
        self._lives = lives
        self._steady = steady
        self._most_kept = most_kept
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Delete the oldest of too many records, from time to time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._delete(self._due())
            except StoreUnavailableError as error:
                logger.debug("records of servers that left the fleet could not be deleted: {}", error)

    def _due(self) -> list[str]:
        now = self._steady()
        unlisted = self._records.unlisted(self._lives)
        self._since = {name: self._since.get(name, now) for name in unlisted}
        oldest_first = sorted(self._since, key=self._since.__getitem__)
        excess = oldest_first[: max(0, len(oldest_first) - self._most_kept)]
        return [name for name in excess if now - self._since[name] >= KEPT_S]

    async def _delete(self, servers: list[str]) -> None:
        for start in range(0, len(servers), BATCH):
            await asyncio.gather(*(self._delete_one(name) for name in servers[start : start + BATCH]))
        if servers:
            logger.info("the records of {} servers that left the fleet were deleted", len(servers))

    async def _delete_one(self, server: str) -> None:
        _, revision = self._records.latest(server)
        await self._store.forget(Dataset.SERVERS, server, revision)
        self._records.forget(server, revision)
