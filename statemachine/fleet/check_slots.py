"""Slots for cache checks. Slow servers have slots of their own, so that fast ones always find one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

SLOW_S = 1.0
"""A use that takes longer gives its slot up and marks its server as slow, until one is quick again."""


@dataclass(slots=True, eq=False)
class Pace:
    """Whether the last use of one server was slow."""

    is_slow: bool = False


class CheckSlots:
    """As many slots for slow servers as for the others. A use that turns out slow goes on without its slot."""

    def __init__(self, slots: int) -> None:
        self._fast = asyncio.Semaphore(slots)
        self._slow = asyncio.Semaphore(slots)

    def is_full(self, pace: Pace) -> bool:
        """Return whether a server has to wait for a slot."""
        return (self._slow if pace.is_slow else self._fast).locked()

    @asynccontextmanager
    async def slot(self, pace: Pace) -> AsyncIterator[None]:
        """Hold a slot for a server within the block."""
        if pace.is_slow:
            async with self._slow, _timed(pace):
                yield
            return
        await self._fast.acquire()
        is_held = True

        def give_up() -> None:
            nonlocal is_held
            pace.is_slow, is_held = True, False
            self._fast.release()

        timer = asyncio.get_running_loop().call_later(SLOW_S, give_up)
        try:
            yield
        finally:
            timer.cancel()
            if is_held:
                self._fast.release()


@asynccontextmanager
async def _timed(pace: Pace) -> AsyncIterator[None]:
    """Mark a server that is quick again."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    yield
    pace.is_slow = loop.time() - began >= SLOW_S
