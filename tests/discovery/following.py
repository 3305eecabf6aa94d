"""The answers of a running source, one after another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from statemachine.discovery.source import TargetSource
from statemachine.discovery.target import Listing
from tests.support.polling import PATIENCE_S


class Reports:
    """What a source has reported."""

    def __init__(self) -> None:
        self._queue = asyncio.Queue[Listing]()
        self.task: asyncio.Task[None]
        self.count = 0

    def put(self, listing: Listing) -> None:
        self.count += 1
        self._queue.put_nowait(listing)

    async def next_listing(self) -> Listing:
        """Wait for the next answer, or raise the source's error."""
        waiting = asyncio.ensure_future(self._queue.get())
        await asyncio.wait({waiting, self.task}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            self.task.result()
        return waiting.result()

    async def next(self) -> list[str]:
        """Wait for the addresses of the next answer."""
        return [target.address.host_and_port for target in (await self.next_listing()).targets]

    async def until(self, *addresses: str) -> None:
        """Wait for an answer with these addresses."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.next() != list(addresses):
                pass


@asynccontextmanager
async def following(source: TargetSource) -> AsyncIterator[Reports]:
    """Run the source within the block."""
    reports = Reports()
    reports.task = asyncio.ensure_future(source.run(reports.put))
    try:
        yield reports
    finally:
        reports.task.cancel()
        await asyncio.gather(reports.task, return_exceptions=True)
