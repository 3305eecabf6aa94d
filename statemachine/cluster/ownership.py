"""Distribute the fleet's servers among the living nodes by rendezvous hashing.

A node acquires a server by writing its session to the server's record at the revision at which the server was free, so
of two nodes only one succeeds. A server is free if its record has no owner or the owner's session has ended. Nodes may
list different servers: one that stays free although the nodes before this one have looked is adopted by this one, and a
server of another node's share is handed over once that node claims it, a few at a time, never with a prompt in flight.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import chain, islice

from loguru import logger
from typing_extensions import override

from statemachine.cluster.followers import OnRecord, RecordFollower
from statemachine.cluster.membership import Membership
from statemachine.cluster.owned_records import OwnedRecords
from statemachine.cluster.records import Record
from statemachine.cluster.share import Claims, Share
from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError
from statemachine.cluster.unlisted_records import UnlistedRecords
from statemachine.core.ports import Ownership, ServerHost

TICK_S = 0.25
ACQUIRE_BATCH = 64
"""Servers that are acquired and started together; each takes one write."""
HANDOVER_BATCH = 20
"""Servers that are handed over per tick."""
REVIEW_S = 1.0
"""The time between two looks at the servers that are not where they belong."""
STEP_S = 0.5
"""How much longer each node waits before it adopts a server than the one before it."""
PATIENCE_S = 120.0
"""After this time a free server is adopted although a node before this one has not looked."""


class LeasedOwnership(Ownership):
    """Acquire and release servers in `run`; `records` has the records of our own servers.

    `wake` is set when the membership has changed.
    """

    def __init__(self, store: SharedStore, membership: Membership, wake: asyncio.Event) -> None:
        self.records = OwnedRecords(store, self._on_lost, self._holds_lease)
        self._store = store
        self._membership = membership
        self._session = membership.session
        self._servers: Sequence[str] = ()
        self._share = Share(membership.node)
        self._claims = Claims(store, membership, self.owns, self._on_claim)
        self._free_since: dict[str, float] = {}
        """Free servers of other nodes' shares, and since when we have seen that."""
        self._adopted: frozenset[str] = frozenset()
        self._reviewed_at = float("-inf")
        self._host: ServerHost | None = None
        self._lost: set[str] = set()
        self._wake = wake
        self._seen = RecordFollower(store, membership.steady, wake.set, self.records.rewrite)
        self._seen.add_listener(self._check_own)
        self._unlisted = UnlistedRecords(store, self._seen, membership.leases.lives, membership.steady)

    def add_listener(self, listener: OnRecord) -> None:
        """Call `listener` whenever the record of a server has changed, also of our own servers."""
        self._seen.add_listener(listener)

    @override
    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        added = set(servers) - set(self._servers)
        self._servers, self._host = servers, host
        self._seen.set_listed(frozenset(servers))
        self._notify_of_others(added)
        await asyncio.gather(*(self.records.release(name) for name in set(self.records) - set(servers)))
        self._membership.set_fleet(blake2b("\n".join(sorted(servers)).encode(), digest_size=8).hexdigest())
        self._wake.set()

    @override
    def close(self) -> None:
        self._host = None
        self._membership.set_pending(0)

    @override
    def owns(self, server: str) -> bool:
        return server in self.records

    @override
    def may_submit(self, server: str) -> bool:
        return server in self.records and self._holds_lease()

    def _holds_lease(self) -> bool:
        return self._session == self._membership.session and self._membership.holds_lease

    def record(self, server: str) -> Record:
        """Return the server's record: for our own servers the wanted content, for others the latest seen."""
        return self.records[server] if server in self.records else self._seen.latest(server)[0]

    async def run(self) -> None:
        """Follow the records and balance the servers until cancelled."""
        await self._claims.subscribe()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._seen.run())
            tasks.create_task(self._balance_repeatedly())
            tasks.create_task(self._unlisted.run())

    async def leave(self) -> None:
        """Free all our servers, so that other nodes can acquire them at once. The fleet has stopped."""
        self.close()
        await asyncio.gather(*(self.records.release(name) for name in self.records))

    # Balancing

    def _notify_of_others(self, servers: Iterable[str]) -> None:
        """Repeat the latest records of servers that were just added or lost; no newer ones may follow."""
        for name in servers:
            if name not in self.records:
                self._seen.notify(name)

    def _check_own(self, server: str, record: Record) -> None:
        """Notice that another node owns a server of ours, whose record had been removed from the store."""
        if server not in self.records or record.session == self._session:
            return
        if self._seen.latest(server)[1] > self.records.revision(server):
            self.records.rewrite(server)  # which finds out whether it is still ours

    def _on_claim(self, server: str, node: str) -> None:
        """Write the record of a server of ours again for a node that takes it for free: it may have been removed."""
        if self._share.belongs_to(server) != node:
            self.records.rewrite(server)

    def _on_lost(self, server: str) -> None:
        self._lost.add(server)
        self._wake.set()

    async def _balance_repeatedly(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._balance()
            except Exception:
                logger.exception("distributing the servers failed; retrying")
                await asyncio.sleep(TICK_S)

    async def _balance(self) -> None:
        if self._host is None:
            return
        await self._release_lost(self._host)
        if self._seen.is_caught_up and self._membership.holds_lease:
            self._assign()
            in_doubt = self._review()
            await self._acquire(self._host, in_doubt)
            if self._host is not None:
                await self._hand_over(self._host)

    async def _release_lost(self, host: ServerHost) -> None:
        """Release servers that another node has taken, or all servers if our session has ended."""
        if self._session != self._membership.session:
            self._session = self._membership.session
            self._lost |= set(self.records)
        lost, self._lost = self._lost, set()
        if lost:
            for name in lost:
                self.records.forget(name)
            await host.release(lost)
            self._notify_of_others(lost)

    def _assign(self) -> None:
        """Compute our share again if the nodes or the servers have changed."""
        if self._share.update(sorted(self._membership.members()), self._servers):
            assigned, servers, nodes = len(self._share.assigned), len(self._servers), self._share.nodes
            logger.info("{} of {} servers are assigned to this node; nodes: {}", assigned, servers, nodes)

    def _review(self) -> Sequence[str]:
        """From time to time, adopt and claim servers; return those whose records name us although we gave them up."""
        now = self._membership.steady()
        if now - self._reviewed_at < REVIEW_S:
            return ()
        self._reviewed_at = now
        self._adopt(now)
        free = set(self._free())
        lacking = [name for name in self._share.assigned if name not in self.records and name not in free]
        self._claims.send([*lacking, *self._free_since])
        named = self._seen.owned_by(self._membership.node, self._session)
        return [name for name in named if name not in self.records]

    def _free(self) -> list[str]:
        return self._seen.free(self._membership.leases.lives)

    def _adopt(self, now: float) -> None:
        """Adopt the servers that stay free, because the nodes that they belong to do not list them."""
        free = (name for name in self._free() if name not in self._share.assigned and name not in self.records)
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        self._adopted = frozenset(
            name for name, since in self._free_since.items() if self._is_left(name, since, now - since)
        )

    def _is_left(self, server: str, since: float, free_s: float) -> bool:
        """Return whether no node before this one acquires a server that has been free for some time."""
        before = self._share.before(server)
        if free_s <= STEP_S * len(before):
            return False
        return free_s > PATIENCE_S or all(self._membership.has_passed_over(node, since) for node in before)

    def _holds(self, server: str) -> bool:
        return server in self.records or server in self._lost

    def _is_wanted(self, server: str) -> bool:
        return server in self._share.assigned or server in self._adopted

    async def _acquire(self, host: ServerHost, in_doubt: Sequence[str]) -> None:
        """Acquire the free servers of our share. If the host fails, the next round releases them and tries again.

        `in_doubt` are those whose records name us: their acquisition or their release was lost.
        """
        await self._free_unclaimed([name for name in in_doubt if not self._is_wanted(name)])
        servers = self._servers
        wanted = [name for name in (*self._free(), *in_doubt) if self._is_wanted(name) and not self._holds(name)]
        self._membership.set_pending(len(wanted))
        for batch in _batches(wanted):
            if servers is not self._servers:
                return
            try:
                await self._acquire_batch(batch, host)
            except BaseException:
                self._lost.update(batch)
                raise

    async def _acquire_batch(self, batch: Sequence[str], host: ServerHost) -> None:
        servers = self._servers
        acquired = await asyncio.gather(*(self._acquire_one(name) for name in batch))
        names = [name for name in acquired if name is not None]
        if servers is not self._servers:
            self._lost.update(names)
        elif names and self._host is not None:
            await host.acquire(names)

    async def _acquire_one(self, server: str) -> str | None:
        """Return the server's name if it is now ours. The next round looks at writes in doubt again."""
        try:
            return server if await self._claim(server) else None
        except StoreUnavailableError as error:
            logger.debug("{} could not be acquired: {}", server, error)
            return None

    async def _claim(self, server: str) -> bool:
        """Write our session to the server's record."""
        record, revision = self._seen.latest(server)
        if not self._is_old_enough(server) or not await self._is_free(record):
            return False
        record = record.owned_by(self._membership.node, self._session)
        try:
            revision = await self._store.put(Dataset.SERVERS, server, record.encoded(server), revision)
        except ConflictError:
            self._seen.correct(server, await self._store.get(Dataset.SERVERS, server))
            return False
        self.records.add(server, record, revision)
        if self._seen.latest(server)[1] > revision:  # it was damaged before the answer arrived
            self.records.rewrite(server)
        return True

    async def _is_free(self, record: Record) -> bool:
        """Return whether the server has no living owner; our own session here is a write whose answer was lost."""
        if record.session is None or record.node is None or record.session == self._session:
            return True
        return await self._membership.leases.has_ended(record.node, record.session)

    def _is_old_enough(self, server: str) -> bool:
        """Return false while a living owner may still write a record again that cannot be read."""
        unread_s = self._seen.unread_for(server)
        return unread_s is None or unread_s > self._membership.lease_s

    async def _free_unclaimed(self, servers: Sequence[str]) -> None:
        """Free servers whose record still names our session although we gave them up: that write was lost."""
        await asyncio.gather(*(self._write_free(name) for name in servers[:HANDOVER_BATCH]))

    async def _write_free(self, server: str) -> None:
        record, revision = self._seen.latest(server)
        with suppress(ConflictError, StoreUnavailableError):
            free = record.owned_by(None, None)
            revision = await self._store.put(Dataset.SERVERS, server, free.encoded(server), revision)
            self._seen.observe(StoredValue(server, free.encoded(server), revision))

    async def _hand_over(self, host: ServerHost) -> None:
        leaving = self._leaving()
        if (first := next(leaving, None)) is None:
            return
        in_flight = host.in_flight
        batch = list(islice((name for name in chain((first,), leaving) if name not in in_flight), HANDOVER_BATCH))
        if batch:
            await host.release(batch)
            await asyncio.gather(*(self.records.release(name) for name in batch))
            self._notify_of_others(batch)
            await asyncio.sleep(TICK_S)

    def _leaving(self) -> Iterator[str]:
        """Yield our servers that belong to nodes which want them."""
        yield from (name for name, node in self._claims.received() if self._share.belongs_to(name) == node)
        if silent := self._membership.silent_members():
            yield from (name for name in self.records if self._share.belongs_to(name) in silent)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), ACQUIRE_BATCH):
        yield names[start : start + ACQUIRE_BATCH]
