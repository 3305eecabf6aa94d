"""The interface of the sources."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from statemachine.discovery.target import Listing

Report = Callable[[Listing], None]


class TargetSource(Protocol):
    """Reports the targets that it knows."""

    async def run(self, report: Report) -> None:
        """Report every answer until cancelled.

        Raises SourceError if there is no usable answer; the caller runs the source again after a pause.
        """
        ...


@runtime_checkable
class WatchedSource(Protocol):
    """A source that knows when another answer is to be had."""

    async def changed(self) -> None:
        """Return when it is worth running the source again, although it has failed."""
        ...


class PolledSource:
    """Asks in intervals. `ask` returns an answer, and the seconds until the next one is wanted."""

    def __init__(self, ask: Callable[[], Awaitable[tuple[Listing, float]]]) -> None:
        self._ask = ask

    async def run(self, report: Report) -> None:
        """Report every answer until cancelled. Raises SourceError."""
        while True:
            listing, pause_s = await self._ask()
            report(listing)
            await asyncio.sleep(pause_s)
