"""Permits for warm-ups, over all nodes: one ledger of who holds one, changed by compare-and-set.

A permit is a server's, not a node's: whoever takes over a server with a prompt in flight finds it there.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from loguru import logger

from statemachine.cluster.store import ConflictError, CutOffError, Kept, SharedStore, Source
from statemachine.core.budgets import Budget

LEDGER = "permits"
AGAIN_S = 0.5

Ledger = dict[str, str]
"""Server → host, of those that hold a permit."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    server: str
    host: str
    granted: "asyncio.Future[None]"


class SharedPermits:
    """See PermitsPort. Changes are written in `run`, one after the other."""

    def __init__(self, store: SharedStore, total: int, per_host: int) -> None:
        self._store = store
        self._limits = (total, per_host)
        self._ledger: Ledger = {}
        self._revision = 0
        self._wanted: dict[str, str | None] = {}
        self._waiters: list[_Waiter] = []
        self._wake = asyncio.Event()

    async def acquire(self, server: str, host: str) -> None:
        """See PermitsPort: first come, first served on each node."""
        waiter = _Waiter(server, host, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._wake.set()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self.release(server)
            raise
        finally:
            self._waiters = [one for one in self._waiters if one is not waiter]

    def take(self, server: str, host: str) -> None:
        """See PermitsPort."""
        if self._wanted.get(server, self._ledger.get(server)) is None:
            self._want(server, host)

    def release(self, server: str) -> None:
        """See PermitsPort."""
        if self._wanted.get(server, self._ledger.get(server)) is not None:
            self._want(server, None)

    def resize(self, total: int, per_host: int) -> None:
        """See PermitsPort. Each node goes by its own settings."""
        self._limits = (total, per_host)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._write_for_ever())

    def _want(self, server: str, host: str | None) -> None:
        self._wanted[server] = host
        self._wake.set()

    async def _watch(self) -> None:
        async with aclosing(self._store.follow(Source.SHARED)) as batches:
            async for batch in batches:
                for kept in batch.kept:
                    if kept.key == LEDGER:
                        self._see(kept)

    def _see(self, kept: Kept) -> None:
        if kept.revision > self._revision:
            self._ledger, self._revision = orjson.loads(kept.value), kept.revision
            self._wake.set()

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write_once()
            except ConflictError:
                await self._look()
            except CutOffError as error:
                logger.debug("permits cannot be written: {}", error)
                await asyncio.sleep(AGAIN_S)
                await self._look()

    async def _write_once(self) -> None:
        """Put into the ledger what is to be there, and those who wait as far as there is room."""
        wanted, granted = dict(self._wanted), list[_Waiter]()
        ledger = {server: host for server, host in {**self._ledger, **wanted}.items() if host is not None}
        budget = self._budget(ledger)
        for waiter in self._waiters:
            if waiter.granted.done():
                continue
            if waiter.server in ledger or budget.has_room(waiter.host):
                budget.take(waiter.server, waiter.host)
                ledger[waiter.server] = waiter.host
                granted.append(waiter)
        if ledger != self._ledger:
            revision = await self._store.put(Source.SHARED, LEDGER, orjson.dumps(ledger), self._revision)
            self._ledger, self._revision = ledger, max(revision, self._revision)
        self._wanted = {name: host for name, host in self._wanted.items() if wanted.get(name, "") != host}
        for waiter in granted:
            self._grant(waiter)

    def _grant(self, waiter: _Waiter) -> None:
        """Who has gone meanwhile gives it back."""
        if waiter.granted.done():
            self.release(waiter.server)
        else:
            waiter.granted.set_result(None)

    def _budget(self, ledger: Ledger) -> Budget:
        budget = Budget(*self._limits)
        for server, host in ledger.items():
            budget.take(server, host)
        return budget

    async def _look(self) -> None:
        """Whatever has become of our write, the engine's leader knows the ledger."""
        try:
            kept = await self._store.get(Source.SHARED, LEDGER)
        except CutOffError:
            kept = None
        if kept is not None:
            self._see(kept)
        self._wake.set()
