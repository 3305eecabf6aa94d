"""Permits for warm-ups, first come, first served, and the places of servers that wait for one.

A full host does not hold up the others, and a host or group with half of all permits lets the others go first.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from statemachine.core.backoff import Budget
from statemachine.core.permit_line import LinePlace, places

if TYPE_CHECKING:
    from statemachine.fleet.context import ServerContext

REFRESH_S = 1.0
PLACES_PER_S = 1_000
"""Places that are computed in a second: a place changes with each permit, for every server behind."""
BATCH = 50


class PermitsPort(Protocol):
    """Permits for warm-ups. Releasing is idempotent, so that a server's state alone can decide whether it holds one."""

    line_code: str
    """The code of the message that shows a place in the line."""

    def places(self) -> Iterator[LinePlace]:
        """Yield the places of the servers that wait for a permit of this daemon, first come, first."""
        ...

    async def acquire(self, server: str, host: str, group: str = "") -> None:
        """Return once the server holds a permit."""
        ...

    def take(self, server: str, host: str, group: str = "") -> None:
        """Count a warm-up that is already in flight, even if no permit is free."""
        ...

    def release(self, server: str) -> None:
        """Release the server's permit, if it holds one."""
        ...

    def resize(self, total: int, per_host: int) -> None:
        """Change the number of permits. Permits that are held stay valid even if there are now fewer."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    server: str
    host: str
    group: str
    granted: asyncio.Future[None]


class Permits:
    """The permits of a daemon that has the fleet to itself."""

    line_code = "wait.permit"

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._waiters: list[_Waiter] = []

    async def acquire(self, server: str, host: str, group: str = "") -> None:
        """Return once the server holds a permit."""
        if self._budget.has_room(host):
            self._budget.take(server, host, group)
            return
        waiter = _Waiter(server, host, group, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self.release(server)
            raise
        finally:
            self._waiters = [one for one in self._waiters if one is not waiter]

    def places(self) -> Iterator[LinePlace]:
        """Yield the places of the servers that wait for a permit, first come, first."""
        return places(self._budget, self._waiters)

    def take(self, server: str, host: str, group: str = "") -> None:
        """Count a warm-up that is already in flight, for example after a restart of the daemon."""
        self._budget.take(server, host, group)

    def release(self, server: str) -> None:
        """Release the server's permit, if it holds one, and grant waiters that now fit."""
        if self._budget.release(server):
            self._grant()

    def resize(self, total: int, per_host: int) -> None:
        """Change the number of permits. Permits that are held stay valid even if there are now fewer."""
        self._budget.resize(total, per_host)
        self._grant()

    def _grant(self) -> None:
        waiting = [waiter for waiter in self._waiters if not waiter.granted.done()]
        while waiter := self._budget.next_of(waiting):
            self._budget.take(waiter.server, waiter.host, waiter.group)
            waiter.granted.set_result(None)
            waiting.remove(waiter)

    @property
    def in_use(self) -> int:
        """The number of permits that are held."""
        return len(self._budget)


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
