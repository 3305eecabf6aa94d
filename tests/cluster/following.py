"""Follow a shared store in the background, and wait for expected values."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

from statemachine.cluster.store import Batch, Dataset, SharedStore, StoredValue, StoreUnavailableError

PATIENCE_S = 30.0
POLL_S = 0.01


async def until(holds: Callable[[], bool]) -> float:
    """Poll a condition that has no event. Return the seconds slept; on a busy machine more time passes."""
    slept = 0
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(POLL_S)
            slept += 1
    return slept * POLL_S


async def append_with_retries(store: SharedStore, value: bytes, message_id: str) -> int:
    """Append until it succeeds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(StoreUnavailableError):
                return await store.append(value, message_id)
            await asyncio.sleep(POLL_S)


class Follower:
    """Read in the background, and check that revisions rise."""

    def __init__(self, store: SharedStore, dataset: Dataset, after: int = 0) -> None:
        self.stored: list[StoredValue] = []
        self.batches: list[Batch] = []
        self._arrived = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._read(store, dataset, after))

    @property
    def values(self) -> list[bytes]:
        return [stored.value for stored in self.stored]

    async def until(self, is_enough: Callable[["Follower"], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_enough(self):
                self._arrived.clear()
                await self._arrived.wait()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self, store: SharedStore, dataset: Dataset, after: int) -> None:
        last = after
        async with aclosing(store.follow(dataset, after)) as batches:
            async for batch in batches:
                for stored in batch.values:
                    assert stored.revision > last
                    last = stored.revision
                self.batches.append(batch)
                self.stored.extend(batch.values)
                self._arrived.set()


@asynccontextmanager
async def following(store: SharedStore, dataset: Dataset, after: int = 0) -> AsyncIterator[Follower]:
    follower = Follower(store, dataset, after)
    try:
        yield follower
    finally:
        await follower.close()
