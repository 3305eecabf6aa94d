"""What the large answers of all servers share: places, and turns on the event loop. Both are given in order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

T = TypeVar("T")

TURN_S = 0.005
"""Time for which an answer is handled before others, and the rest of the daemon, have their turn."""
LARGE_AT_ONCE = 12
"""Answers. Each keeps up to 8 MiB (splitting.py)."""
SLOW_S = 1.0
SLOW_RATE = 2**20
"""A place is slow if its server was waited for longer than this time plus that of its bytes at this rate a second."""
LOOK_S = 0.25
"""How often slow places are looked for while others wait."""


class TooSlowError(Exception):
    """A large answer came slowly while others waited for its place."""


class Place:
    """The place of one large answer."""

    def __init__(self, limit: asyncio.Timeout) -> None:
        self.limit = limit
        self._waited_s = 0.0
        self._since: float | None = None

    async def chunks(self, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        """Yield the chunks of a body, and measure how long they are waited for."""
        while True:
            self._since = time.monotonic()
            chunk = await content.readany()
            self._waited_s += time.monotonic() - self._since - len(chunk) / SLOW_RATE
            self._since = None
            if not chunk:
                return
            yield chunk

    @property
    def slowness_s(self) -> float:
        """How long the server was waited for, less the time of its bytes at SLOW_RATE."""
        return self._waited_s + (time.monotonic() - self._since if self._since is not None else 0.0)


class LargeAnswers:
    """The places and turns."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(LARGE_AT_ONCE)
        self._taken: set[Place] = set()
        self._waiting = 0
        self._looks: asyncio.TimerHandle | None = None
        self._turns = asyncio.Lock()
        self._thread = asyncio.Lock()

    @property
    def are_many(self) -> bool:
        """Whether every place is taken."""
        return self._places.locked()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Hold a place within the block. Raises TooSlowError if it is slow and another answer waits."""
        await self._acquire()
        limit = asyncio.timeout(None)
        place = Place(limit)
        self._taken.add(place)
        try:
            async with limit:
                yield place
        except TimeoutError as error:
            if limit.expired():
                raise TooSlowError from error
            raise
        finally:
            self._taken.remove(place)
            self._places.release()

    async def handle(self, pieces: Iterator[bytes], receive: Callable[[bytes], None]) -> None:
        """Pass the pieces to `receive`, in turn with the other answers."""
        more = True
        while more:
            async with self._turns:
                try:
                    more = _handle_for(TURN_S, pieces, receive)
                finally:
                    await asyncio.sleep(0)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Return the result of long work in a thread, one at a time: each more would take the interpreter as often."""
        async with self._thread:
            return await asyncio.to_thread(work)

    async def _acquire(self) -> None:
        self._waiting += 1
        if self._looks is None:
            self._looks = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    def _look(self) -> None:
        """Drop the slowest answers, as many as are waited for; look again while any is."""
        loop = asyncio.get_running_loop()
        slowest = sorted(self._taken, key=lambda place: place.slowness_s, reverse=True)
        for place in slowest[: self._waiting]:
            if place.slowness_s > SLOW_S:
                place.limit.reschedule(loop.time())
        self._looks = loop.call_later(LOOK_S, self._look) if self._waiting else None


def _handle_for(seconds: float, pieces: Iterator[bytes], receive: Callable[[bytes], None]) -> bool:
    """Pass pieces to `receive` for about this time; return whether there may be more."""
    until = time.perf_counter() + seconds
    for piece in pieces:
        receive(piece)
        if time.perf_counter() > until:
            return True
    return False
