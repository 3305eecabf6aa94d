"""Permits for warm-ups across all nodes: one ledger of the servers that hold one, changed by compare-and-set.

A permit belongs to a server, not to a node, so a new owner finds the permit of a prompt in flight. Only the owner of a
server changes its permit; what a node wants for a server is dropped once it no longer owns it. The permit of a server
that no living node has owned for `UNOWNED_S` is removed.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

import orjson
from loguru import logger

from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, parse_object
from statemachine.core.backoff import Budget
from statemachine.core.ports import Ownership

LEDGER = "permits"
RETRY_S = 0.5
REPAIR_S = 0.1
"""The pause before an unreadable ledger is written again, so that two versions cannot do so without end."""

UNOWNED_S = 120.0
"""Longer than it takes to take over the servers of a dead node."""
LOOK_S = 10.0
"""The longest time between two looks at the owners of the servers with permits."""

Ledger = dict[str, str]
"""Server → host, for the servers that hold a permit."""


@dataclass(frozen=True, slots=True, eq=False)
class _SlotWaiter:
    server: str
    host: str
    group: str
    granted: "asyncio.Future[None]"


class SharedPermits:
    """Implement the fleet's PermitsPort: first come, first served on each node. `run` writes the changes."""

    def __init__(
        self, store: SharedStore, ownership: Ownership, has_owner: Callable[[str], bool], total: int, per_host: int
    ) -> None:
        """`has_owner` returns whether a node that may be alive owns the server."""
        self._store = store
        self._ownership = ownership
        self._has_owner = has_owner
        self._limits = (total, per_host)
        self._ledger: Ledger = {}
        self._revision = 0
        self._is_damaged = False
        """The stored ledger was not understood, so it is written again from what is known."""
        self._unreadable = Unreadable("the shared value")
        self._wanted: dict[str, str | None] = {}
        """What the ledger should have for our servers: the host of one that holds a permit, or None."""
        self._unowned_since: dict[str, float] = {}
        """Servers with permits that no node owns, and when we first saw that."""
        self._groups: dict[str, str] = {}
        """The groups of servers that were ours; the ledger has none."""
        self._waiters: list[_SlotWaiter] = []
        self._wake = asyncio.Event()
        self._caught_up = asyncio.Event()

    async def acquire(self, server: str, host: str, group: str = "") -> None:
        """Return once the server holds a permit."""
        self._groups[server] = group
        waiter = _SlotWaiter(server, host, group, asyncio.get_running_loop().create_future())
        self._wanted.setdefault(server, None)
        self._waiters.append(waiter)
        self._wake.set()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._want(server, None)  # the ledger may have it already, or get it by a write in doubt
            raise
        finally:
            self._waiters = [one for one in self._waiters if one is not waiter]

    def take(self, server: str, host: str, group: str = "") -> None:
        """Count a warm-up that is already in flight, even if no permit is free."""
        self._groups[server] = group
        if self._wanted.get(server) is None:
            self._want(server, host)

    def release(self, server: str) -> None:
        """Release the server's permit, if it holds one."""
        if self._wanted.get(server, server) is not None:
            self._want(server, None)

    def resize(self, total: int, per_host: int) -> None:
        """Change the limits of this node. Permits that are held stay valid even if there are now fewer."""
        self._limits = (total, per_host)
        self._wake.set()

    async def run(self) -> None:
        """Follow and write the ledger until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._write_repeatedly())

    def _want(self, server: str, host: str | None) -> None:
        self._wanted[server] = host
        self._wake.set()

    async def _watch(self) -> None:
        async with aclosing(self._store.follow(Dataset.SHARED)) as batches:
            async for batch in batches:
                for stored in batch.values:
                    if stored.key == LEDGER:
                        self._observe(stored)
                if batch.caught_up:
                    self._caught_up.set()

    def _observe(self, stored: StoredValue) -> None:
        """Use the ledger; in place of one that cannot be read, write the last known one with our own permits."""
        if stored.revision <= self._revision:
            return
        ledger, self._is_damaged = self._ledger, True
        try:
            data = parse_object(stored.value)
            ledger = {name: host for name, host in data.items() if isinstance(host, str)}
            if len(ledger) < len(data):
                raise TypeError("a permit names no host")
            self._is_damaged = False
        except DECODE_ERRORS as error:
            self._unreadable.report(LEDGER, error)
        self._update(ledger, stored.revision)

    def _update(self, ledger: Ledger, revision: int) -> None:
        """Use the ledger unless a newer one is known: another node's next write may arrive before our answer."""
        if revision > self._revision:
            self._ledger, self._revision = ledger, revision
            self._wake.set()

    async def _write_repeatedly(self) -> None:
        await self._caught_up.wait()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if not await self._write_once():
                    await asyncio.sleep(RETRY_S)
                    self._wake.set()
            except ConflictError:
                await self._reload()
            except StoreUnavailableError as error:
                logger.debug("permits cannot be written: {}", error)
                await asyncio.sleep(RETRY_S)
                while not await self._reload():  # noqa: ASYNC110
                    await asyncio.sleep(RETRY_S)

    async def _write_once(self) -> bool:
        """Write the wanted permits and grant waiters that fit. Return False if we may not write for all our servers."""
        self._wanted = {name: host for name, host in self._wanted.items() if self._ownership.owns(name)}
        writable = {name for name in self._wanted if self._ownership.may_submit(name)}
        ledger = {name: host for name, host in self._ledger.items() if name not in writable | self._abandoned()}
        ledger |= {name: host for name in writable if (host := self._wanted[name]) is not None}
        granted = self._admit(ledger)
        if ledger != self._ledger or self._is_damaged:
            if self._is_damaged:
                await asyncio.sleep(REPAIR_S)
            revision = await self._store.put(Dataset.SHARED, LEDGER, orjson.dumps(ledger), self._revision)
            self._is_damaged = False
            self._update(ledger, revision)
        for waiter in granted:
            self._grant(waiter)
        return len(writable) == len(self._wanted)

    def _abandoned(self) -> set[str]:
        """Return the servers with permits that no living node has owned for a while."""
        now = asyncio.get_running_loop().time()
        since = self._unowned_since
        self._unowned_since = {name: since.get(name, now) for name in self._ledger if not self._has_owner(name)}
        return {name for name, at in self._unowned_since.items() if now - at > UNOWNED_S}

    def _admit(self, ledger: Ledger) -> list[_SlotWaiter]:
        """Add the waiters that fit to the ledger."""
        budget = self._budget(ledger)
        waiting = [one for one in self._waiters if not one.granted.done() and self._ownership.may_submit(one.server)]
        granted = [one for one in waiting if one.server in ledger]
        waiting = [one for one in waiting if one.server not in ledger]
        while waiter := budget.next_of(waiting):
            budget.take(waiter.server, waiter.host, waiter.group)
            ledger[waiter.server] = waiter.host
            granted.append(waiter)
            waiting.remove(waiter)
        return granted

    def _grant(self, waiter: _SlotWaiter) -> None:
        """Wake the waiter, unless it was cancelled during the write: it has released the permit by then."""
        if not waiter.granted.done():
            self._wanted[waiter.server] = waiter.host
            waiter.granted.set_result(None)

    def _budget(self, ledger: Ledger) -> Budget:
        budget = Budget(*self._limits)
        for server, host in ledger.items():
            budget.take(server, host, self._groups.get(server, ""))
        return budget

    async def _reload(self) -> bool:
        """Read the ledger from the store's leader; return False if that failed."""
        try:
            stored = await self._store.get(Dataset.SHARED, LEDGER)
        except StoreUnavailableError:
            return False
        if stored is not None:
            self._observe(stored)
        else:  # it was deleted by hand
            self._revision, self._is_damaged = 0, True
        self._wake.set()
        return True
