"""Version and devices of the servers, read slowly after the first verdicts.

Reading them as soon as each connection opened doubled the requests of a start. Without a bound on those in flight, a
busy machine had thousands of them: each round of the event loop then took seconds, and so did the page.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

from statemachine.fleet.check_slots import CheckSlots, Pace

AT_ONCE = 32
"""Servers that are read at a time, not counting those that are slow to answer."""

PACE_S = 0.002
"""Pause between two servers: 10,000 are read within half a minute."""

Ask = Callable[[], Awaitable[None]]


class SystemInfoQueue:
    """The servers that are still to be read, each once. `run` reads them."""

    def __init__(self) -> None:
        self._wanted: dict[str, Ask] = {}
        self._some = asyncio.Event()
        self._slots = CheckSlots(AT_ONCE)

    def want(self, server: str, ask: Ask) -> None:
        """Call `ask` soon."""
        self._wanted[server] = ask
        self._some.set()

    def forget(self, server: str) -> None:
        """Drop the server from the queue."""
        self._wanted.pop(server, None)

    async def run(self) -> None:
        """Read servers until cancelled. A slow server does not hold up the others."""
        async with asyncio.TaskGroup() as asking:
            while True:
                await self._some.wait()
                while self._wanted:
                    await self._wait_for_slot()
                    if server := next(iter(self._wanted), None):
                        asking.create_task(self._ask(server, self._wanted.pop(server)))
                    await asyncio.sleep(PACE_S)
                self._some.clear()

    async def _wait_for_slot(self) -> None:
        async with self._slots.slot(Pace()):
            return

    async def _ask(self, server: str, ask: Ask) -> None:
        """An unexpected exception must not stop the queue; log it."""
        async with self._slots.slot(Pace()):
            try:
                await ask()
            except Exception:
                logger.exception("{}: its system information could not be read", server)
