"""Permits for warm-ups across all nodes: one ledger of the servers that hold one, changed by compare-and-set.

A permit belongs to a server, not to a node, so a new owner finds the permit of a prompt in flight. Only the owner of a
server changes its permit; what a node wants for a server is dropped once it no longer owns it. A permit without a
warm-up is removed by each node that has waited long enough for one; an owner that still wants it writes it again.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import orjson
from loguru import logger

from statemachine.cluster.holders import LOOK_S, PermitHolders, PermitWait
from statemachine.cluster.ledger_damage import LedgerDamage
from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, parse_object, whole_text
from statemachine.cluster.vanished_permits import VanishedPermits
from statemachine.core.backoff import Budget
from statemachine.core.permit_line import LinePlace, places
from statemachine.core.ports import Ownership

LEDGER = "permits"
RETRY_S = 0.5
REPAIR_S = 0.1
"""The pause before an unreadable ledger is written again, so that two versions cannot do so without end."""

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

    line_code = "wait.node_permit"

    def __init__(
        self, store: SharedStore, ownership: Ownership, holders: PermitHolders, total: int, per_host: int
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._holders = holders
        self._limits = (total, per_host)
        self._ledger: Ledger = {}
        self._revision = 0
        self._damage = LedgerDamage(holders)
        self._unreadable = Unreadable("the shared value")
        self._wanted: dict[str, str | None] = {}
        """What the ledger should have for our servers: the host of one that holds a permit, or None."""
        self._idle: dict[str, PermitWait] = {}
        """The servers with permits but without a warm-up."""
        self._groups: dict[str, str] = {}
        """The groups of servers that were ours; the ledger has none."""
        self._waiters: list[_SlotWaiter] = []
        self._wake = asyncio.Event()
        self._vanished = VanishedPermits(store, holders, self._wake.set)
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

    def places(self) -> Iterator[LinePlace]:
        """Yield the places of this node's servers that wait for a permit; the ledger counts those of all nodes."""
        return places(self._budget(self._ledger), self._waiters)

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
        await self._vanished.subscribe()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._write_repeatedly())
            tasks.create_task(self._look_repeatedly())

    def _want(self, server: str, host: str | None) -> None:
        self._wanted[server] = host
        self._wake.set()

    async def _watch(self) -> None:
        async with aclosing(self._store.follow(Dataset.SHARED)) as batches:
            async for batch in batches:
                self._damage.extend(batch)
                for stored in batch.values:
                    if stored.key == LEDGER:
                        self._observe(stored)
                for removed in batch.removed:
                    if removed.key == LEDGER and removed.revision > self._revision:
                        self._on_removed(removed.revision)
                if batch.caught_up:
                    self._caught_up.set()

    def _observe(self, stored: StoredValue) -> None:
        """Use the ledger; in place of one that cannot be read, the last known one is written again."""
        if stored.revision <= self._revision:
            return
        try:
            ledger = _ledger_from(stored.value)
        except DECODE_ERRORS as error:
            self._unreadable.report(LEDGER, error)
            self._on_damage(stored.revision)
        else:
            self._update(ledger, stored.revision)

    def _update(self, ledger: Ledger, revision: int) -> None:
        """Use the ledger unless a newer one is known: another node's next write may arrive before our answer."""
        if revision > self._revision:
            gone = {name: host for name, host in self._ledger.items() if name not in ledger}
            others = {name: host for name, host in gone.items() if not self._ownership.owns(name)}
            self._vanished.note(others, ledger, self._damage.known, revision)
            self._damage.end(revision)
            self._ledger, self._revision = ledger, revision
            self._idle = {name: wait for name, wait in self._idle.items() if name in ledger}
            self._wake.set()

    def _on_removed(self, revision: int) -> None:
        """Write the ledger again at this revision, after someone has deleted it."""
        logger.warning("the shared value {} was deleted and is written again", LEDGER)
        self._on_damage(revision)

    def _on_damage(self, revision: int) -> None:
        self._revision = revision
        self._damage.begin(revision)
        self._wake.set()

    async def _write_repeatedly(self) -> None:
        await self._caught_up.wait()
        while True:
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
        """Write the wanted permits and grant waiters that fit. Return False if some have to wait for a better time."""
        if self._damage.is_present and not self._damage.may_be_repaired():
            return False
        self._wanted = {name: host for name, host in self._wanted.items() if self._ownership.owns(name)}
        writable = {name for name in self._wanted if self._ownership.may_submit(name)}
        dropped = writable | set(filter(self._is_ghost, self._ledger))
        ledger = {name: host for name, host in self._ledger.items() if name not in dropped}
        ledger |= {name: host for name in writable if (host := self._wanted[name]) is not None}
        granted, revision = self._admit(ledger), self._revision
        released = [name for name in self._ledger if name not in ledger]
        if ledger != self._ledger or self._damage.is_present:
            if self._damage.is_present:
                await asyncio.sleep(REPAIR_S)
            revision = await self._store.put(Dataset.SHARED, LEDGER, orjson.dumps(ledger), revision)
            self._vanished.announce(released, revision)
            self._update(ledger, revision)
        for waiter in granted:
            self._grant(waiter)
        is_complete = len(writable) == len(self._wanted) and not (self._waiters and self._damage.forbids_grants())
        self._forget_released()
        return is_complete

    def _forget_released(self) -> None:
        """Forget the servers whose permits are released and not in the ledger."""
        wanted = {name: host for name, host in self._wanted.items() if host is not None or name in self._ledger}
        counted = {*wanted, *self._ledger, *(one.server for one in self._waiters)}
        self._groups = {name: group for name, group in self._groups.items() if name in counted}
        self._wanted = wanted

    async def _look_repeatedly(self) -> None:
        """Look at the permits that vanished and at those without a warm-up."""
        await self._caught_up.wait()
        while True:
            await asyncio.sleep(LOOK_S)
            self._vanished.review()
            self._idle = {name: self._looked_at(name) for name in self._ledger if self._is_idle(name)}
            ghosts = sum(map(self._is_ghost, self._idle))
            if ghosts:
                logger.warning("{} permits without a warm-up are removed", ghosts)
                self._wake.set()

    def _is_idle(self, server: str) -> bool:
        if self._ownership.owns(server):
            return self._wanted.get(server) is None
        return not self._holders.is_warming(server)

    def _looked_at(self, server: str) -> PermitWait:
        wait = self._idle.get(server)
        return self._holders.begin_wait(server) if wait is None else self._holders.look(server, wait)

    def _is_ghost(self, server: str) -> bool:
        return server in self._idle and self._idle[server].is_over

    def _admit(self, ledger: Ledger) -> list[_SlotWaiter]:
        """Add the waiters that fit to the ledger."""
        budget = self._budget(ledger)
        waiting = [one for one in self._waiters if not one.granted.done() and self._ownership.may_submit(one.server)]
        granted = [one for one in waiting if one.server in ledger]
        waiting = [one for one in waiting if one.server not in ledger]
        while not self._damage.forbids_grants() and (waiter := budget.next_of(waiting)):
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
        vanished = {name: host for name, host in self._vanished.hosts().items() if not self._is_unused(name)}
        for server, host in {**vanished, **ledger}.items():
            budget.take(server, host, self._groups.get(server, ""))
        return budget

    def _is_unused(self, server: str) -> bool:
        """Return whether the server is ours by now, so that no other node submits to it, and has no prompt."""
        return self._ownership.owns(server) and not self._holders.has_open_attempt(server)

    async def _reload(self) -> bool:
        """Read the ledger from the store's leader; return False if that failed."""
        try:
            stored = await self._store.get(Dataset.SHARED, LEDGER)
        except StoreUnavailableError:
            return False
        if stored is not None:
            self._observe(stored)
        elif self._revision:
            self._on_removed(0)
        self._wake.set()
        return True


def _ledger_from(value: bytes) -> Ledger:
    """Decode a ledger. Raises one of `DECODE_ERRORS`."""
    return {name: whole_text(host) for name, host in parse_object(value).items()}
