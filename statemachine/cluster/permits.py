"""Permits for warm-ups, over all nodes: one ledger of who holds one, changed by compare-and-set.

A permit is a server's, not a node's: whoever takes over a server with a prompt in flight finds it there. Only who owns
the server changes its permit; what a node still wanted for one that it has lost is forgotten.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from loguru import logger

from statemachine.cluster.store import ConflictError, CutOffError, Dataset, Kept, SharedStore
from statemachine.core.backoff import Budget
from statemachine.core.ownership import Ownership

LEDGER = "permits"
AGAIN_S = 0.5

Ledger = dict[str, str]
"""Server → host, of those that hold a permit."""


@dataclass(frozen=True, slots=True, eq=False)
class _SlotWaiter:
    server: str
    host: str
    granted: "asyncio.Future[None]"


class SharedPermits:
    """See PermitsPort. Changes are written in `run`, one after the other."""

    def __init__(self, store: SharedStore, ownership: Ownership, total: int, per_host: int) -> None:
        self._store = store
        self._ownership = ownership
        self._limits = (total, per_host)
        self._ledger: Ledger = {}
        self._revision = 0
        self._wanted: dict[str, str | None] = {}
        """What the ledger is to hold for our servers: the host of one that has a permit, None for one that has none."""
        self._waiters: list[_SlotWaiter] = []
        self._wake = asyncio.Event()
        self._known = asyncio.Event()

    async def acquire(self, server: str, host: str) -> None:
        """See PermitsPort: first come, first served on each node."""
        waiter = _SlotWaiter(server, host, asyncio.get_running_loop().create_future())
        self._wanted.setdefault(server, None)
        self._waiters.append(waiter)
        self._wake.set()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._want(server, None)  # whether or not it is known already that we have it
            raise
        finally:
            self._waiters = [one for one in self._waiters if one is not waiter]

    def take(self, server: str, host: str) -> None:
        """See PermitsPort."""
        if self._wanted.get(server) is None:
            self._want(server, host)

    def release(self, server: str) -> None:
        """See PermitsPort."""
        if self._wanted.get(server, server) is not None:
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
        async with aclosing(self._store.follow(Dataset.SHARED)) as batches:
            async for batch in batches:
                for kept in batch.kept:
                    if kept.key == LEDGER:
                        self._see(kept)
                if batch.caught_up:
                    self._known.set()

    def _see(self, kept: Kept) -> None:
        self._know(orjson.loads(kept.value), kept.revision)

    def _know(self, ledger: Ledger, revision: int) -> None:
        """What another node has written after us may be read before the answer to our own write has come."""
        if revision > self._revision:
            self._ledger, self._revision = ledger, revision
            self._wake.set()

    async def _write_for_ever(self) -> None:
        await self._known.wait()
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if not await self._write_once():
                    await asyncio.sleep(AGAIN_S)
                    self._wake.set()
            except ConflictError:
                await self._look()
            except CutOffError as error:
                logger.debug("permits cannot be written: {}", error)
                await asyncio.sleep(AGAIN_S)
                while not await self._look():  # noqa: ASYNC110
                    await asyncio.sleep(AGAIN_S)

    async def _write_once(self) -> bool:
        """Put into the ledger what is to be there, and those who wait as far as there is room; whether we might."""
        self._wanted = {name: host for name, host in self._wanted.items() if self._ownership.owns(name)}
        may = {name for name in self._wanted if self._ownership.may_submit(name)}
        ledger = {name: host for name, host in self._ledger.items() if name not in may}
        ledger |= {name: host for name in may if (host := self._wanted[name]) is not None}
        granted = self._let_in(ledger)
        if ledger != self._ledger:
            revision = await self._store.put(Dataset.SHARED, LEDGER, orjson.dumps(ledger), self._revision)
            self._know(ledger, revision)
        for waiter in granted:
            self._grant(waiter)
        return len(may) == len(self._wanted)

    def _let_in(self, ledger: Ledger) -> list[_SlotWaiter]:
        """Add to the ledger those who wait and fit."""
        granted, budget = list[_SlotWaiter](), self._budget(ledger)
        for waiter in self._waiters:
            if waiter.granted.done() or not self._ownership.may_submit(waiter.server):
                continue
            if waiter.server in ledger or budget.has_room(waiter.host):
                budget.take(waiter.server, waiter.host)
                ledger[waiter.server] = waiter.host
                granted.append(waiter)
        return granted

    def _grant(self, waiter: _SlotWaiter) -> None:
        """Who has gone meanwhile has given it back already."""
        if not waiter.granted.done():
            self._wanted[waiter.server] = waiter.host
            waiter.granted.set_result(None)

    def _budget(self, ledger: Ledger) -> Budget:
        budget = Budget(*self._limits)
        for server, host in ledger.items():
            budget.take(server, host)
        return budget

    async def _look(self) -> bool:
        """Whatever has become of our write, the engine's leader knows the ledger. Whether it could be asked."""
        try:
            kept = await self._store.get(Dataset.SHARED, LEDGER)
        except CutOffError:
            return False
        if kept is not None:
            self._see(kept)
        self._wake.set()
        return True
