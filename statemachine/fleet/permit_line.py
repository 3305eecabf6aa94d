"""Publish the places of servers that wait for a permit, at most so many in a second."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from statemachine.core.permit_line import LinePlace
from statemachine.fleet.permits import PermitsPort

if TYPE_CHECKING:
    from statemachine.fleet.context import ServerContext

REFRESH_S = 1.0
PLACES_PER_S = 1_000
"""Places that are computed in a second: a place changes with each permit, for every server behind."""
BATCH = 50


class PermitLine:
    """The servers that wait for a permit. One task refreshes their places while there are any."""

    def __init__(self, permits: PermitsPort) -> None:
        self._permits = permits
        self._waiting: dict[str, ServerContext] = {}
        self._refreshing: asyncio.Task[None] | None = None

    @contextmanager
    def joined(self, context: "ServerContext") -> Iterator[None]:
        """Publish the server's place within the block."""
        self._waiting[context.config.name] = context
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        try:
            yield
        finally:
            if self._waiting.get(context.config.name) is context:
                del self._waiting[context.config.name]
            if not self._waiting and self._refreshing is not None:
                self._refreshing.cancel()
                self._refreshing = None

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(0)
            for number, place in enumerate(self._permits.places(), start=1):
                self._show(place)
                if number % BATCH == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(REFRESH_S * max(1.0, len(self._waiting) / PLACES_PER_S))

    def _show(self, place: LinePlace) -> None:
        """Publish the place, unless the server no longer waits."""
        context = self._waiting.get(place.server)
        if context is not None:
            context.waits(place.shown(self._permits.line_code))
