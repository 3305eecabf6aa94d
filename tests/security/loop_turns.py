"""The longest turn of the event loop, as processor time, so that other processes do not count."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType


class LoopTurns:
    """Measures, within the block, the time between two turns of the loop on a clock of processor time.

    The default is that of this thread; `time.process_time` counts what other threads do meanwhile.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self.longest_s = 0.0
        self._clock = clock

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
        before = self._clock()
        while True:
            await asyncio.sleep(0)
            now = self._clock()
            self.longest_s = max(self.longest_s, now - before)
            before = now
