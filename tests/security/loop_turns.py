"""The longest turn of the event loop, as processor time, so that other processes do not count."""

import asyncio
import time
from contextlib import suppress
from types import TracebackType


class LoopTurns:
    """Measures, within the block, the processor time of this thread between two turns of the loop."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def __aenter__(self) -> "LoopTurns":
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest_s = max(self.longest_s, now - before)
            before = now
