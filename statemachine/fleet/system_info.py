"""What servers say of themselves, for people to read: asked at a gentle pace, when the verdicts have been seen to.

Asked as soon as each connection stands, it doubled the requests of a start.
"""

import asyncio
from collections.abc import Awaitable, Callable

from loguru import logger

PACE_S = 0.002
"""Between two servers: 10,000 are asked within half a minute."""

Ask = Callable[[], Awaitable[None]]


class SystemInfoQueue:
    """Who is still to be asked, each server once. Nobody is before `run` does it."""

    def __init__(self) -> None:
        self._wanted: dict[str, Ask] = {}
        self._some = asyncio.Event()

    def want(self, server: str, ask: Ask) -> None:
        """Have `ask` called soon."""
        self._wanted[server] = ask
        self._some.set()

    def forget(self, server: str) -> None:
        """The server is not to be asked any more."""
        self._wanted.pop(server, None)

    async def run(self) -> None:
        """Ask for ever. A server that is slow to answer holds up no other."""
        async with asyncio.TaskGroup() as asking:
            while True:
                await self._some.wait()
                while self._wanted:
                    server = next(iter(self._wanted))
                    asking.create_task(_ask(server, self._wanted.pop(server)))
                    await asyncio.sleep(PACE_S)
                self._some.clear()


async def _ask(server: str, ask: Ask) -> None:
    """A fault of our own must not end the asking."""
    try:
        await ask()
    except Exception:
        logger.exception("{}: what it says of itself could not be learnt", server)
