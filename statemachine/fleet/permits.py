"""Waiting for room in the budget, first come first served, without one full host holding up the others."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from statemachine.core.backoff import Budget


class PermitsPort(Protocol):
    """Permits for warm-ups. Giving back is idempotent, so state alone may decide who holds one."""

    async def acquire(self, server: str, host: str) -> None:
        """Return once the server holds a permit."""
        ...

    def take(self, server: str, host: str) -> None:
        """Count in a warm-up that is in flight already, room or not."""
        ...

    def release(self, server: str) -> None:
        """Give the permit back, if the server holds one."""
        ...

    def resize(self, total: int, per_host: int) -> None:
        """Change how many there are. Those held are kept, even where there are now fewer."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    server: str
    host: str
    granted: asyncio.Future[None]


class Permits:
    """Those of a daemon that is alone with its fleet."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._waiters: list[_Waiter] = []

    async def acquire(self, server: str, host: str) -> None:
        """Return once the server holds a permit."""
        if self._budget.has_room(host):
            self._budget.take(server, host)
            return
        waiter = _Waiter(server, host, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self.release(server)
            raise
        finally:
            self._waiters = [one for one in self._waiters if one is not waiter]

    def take(self, server: str, host: str) -> None:
        """Count in a warm-up that is in flight already, as after a restart of the daemon."""
        self._budget.take(server, host)

    def release(self, server: str) -> None:
        """Give the permit back, if the server holds one, and grant those that now fit."""
        if self._budget.give_back(server):
            self._grant()

    def resize(self, total: int, per_host: int) -> None:
        """Change how many there are. Those held are kept, even where there are now fewer."""
        self._budget.resize(total, per_host)
        self._grant()

    def _grant(self) -> None:
        for waiter in self._waiters:
            if not waiter.granted.done() and self._budget.has_room(waiter.host):
                self._budget.take(waiter.server, waiter.host)
                waiter.granted.set_result(None)

    @property
    def in_use(self) -> int:
        """How many permits are held."""
        return len(self._budget)
