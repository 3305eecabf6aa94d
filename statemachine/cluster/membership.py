"""Which nodes are alive: our own lease, which we renew, and the leases of the other nodes.

Each node uses its own steady clock; clocks are never compared. A node counts its own lease from before it sends a
renewal, the others count it from when they see the renewal, which is later. So its own lease ends first, by `MARGIN` of
its length and the time that a renewal takes. A node ends another's lease by writing at the revision that it saw: if
the other has renewed meanwhile, the write conflicts; if not, the other's next renewal does.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b

from loguru import logger

from statemachine.cluster.followers import LeaseFollower, SeenLease
from statemachine.cluster.records import Lease, lease_from
from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError

MARGIN = 0.2
"""The last part of our lease, in which we no longer act on it."""

RENEWALS = 5
"""Renewals per lease."""

POLLS_PER_LEASE = 20
"""How often per lease we look for leases to end. The servers of an ended node wait for this."""

LOOK_S = 1.0
"""The time that a node has to see which servers are free, before a renewal of its lease counts for them."""

STARTING = 1
"""The pending servers of a node that has not listed any yet."""

REPAIR_S = 0.1
"""The shortest time between two renewals, so that two writers of one key do not write it without a pause."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`node` is the name in the settings; `steady` returns seconds of a clock that also runs while we are stopped."""

    node: str
    lease_s: float
    steady: Callable[[], float]
    new_id: Callable[[], str]


class Membership:
    """This node's membership, from `run` to `leave`.

    `on_change` is called whenever the set of living nodes, or our own lease, may have changed.
    """

    def __init__(
        self,
        store: SharedStore,
        identity: Identity,
        on_change: Callable[[], None],
    ) -> None:
        self.leases = LeaseFollower(store, identity.steady, on_change, self._on_unreadable)
        self._store = store
        self.lease_s = identity.lease_s
        self.steady = identity.steady
        self.new_id = identity.new_id
        self._lease = Lease(identity.node, identity.new_id(), pending=STARTING)
        self._revision: int | None = None
        """The revision of our lease, None while the name may be another daemon's."""
        self._ends_at = float("-inf")
        self._member_since = float("-inf")
        self._renewing = asyncio.Lock()
        self._renew_now = asyncio.Event()
        self._has_left = False
        self._waits_for_name = False
        self._on_change = on_change

    @property
    def node(self) -> str:
        """The name of this node."""
        return self._lease.node

    @property
    def session(self) -> str:
        """The id of our session. A new session starts when another node has ended our lease."""
        return self._lease.session

    @property
    def holds_lease(self) -> bool:
        """Whether no other node can have ended our lease yet."""
        return self.steady() < self._ends_at

    def members(self) -> list[str]:
        """Return the living nodes, including this node if it holds its lease."""
        others = [seen.lease.node for seen in self._others() if seen.lease.session]  # the others were never readable
        return [*others, self.node] if self.holds_lease else others

    def silent_members(self) -> frozenset[str]:
        """Return the other living nodes that claim no servers: those of an older version with the same servers."""
        return frozenset(seen.lease.node for seen in self._others() if self._is_like_us(seen.lease))

    def has_passed_over(self, node: str, since: float) -> bool:
        """Return whether that node, when it could see a server that is free since then, wanted no more servers."""
        seen = self.leases.latest(node)
        if seen is None or seen.has_ended:
            return True
        wants_more = bool(seen.lease.pending) or self._is_like_us(seen.lease)
        return seen.seen_at > since + LOOK_S and not wants_more

    def set_fleet(self, fleet: str) -> None:
        """Publish which servers this node lists, as soon as possible. `fleet` is a digest of them."""
        self._lease = replace(self._lease, fleet=fleet)
        self._renew_now.set()

    def set_pending(self, pending: int) -> None:
        """Publish with the next renewal how many free servers this node will acquire."""
        if pending != self._lease.pending:
            self._lease = replace(self._lease, pending=pending)

    def _others(self) -> list[SeenLease]:
        return [seen for seen in self.leases.all() if seen.lease.node != self.node and not seen.has_ended]

    def _is_like_us(self, lease: Lease) -> bool:
        return lease.pending is None and lease.fleet == self._lease.fleet

    async def run(self) -> None:
        """Keep the lease and watch the others until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.leases.run())
            tasks.create_task(self._renew_repeatedly())
            tasks.create_task(self._end_leases_repeatedly())

    async def leave(self) -> None:
        """End our lease, which frees all our servers. The caller has stopped all work for them."""
        self._has_left = True
        async with self._renewing:
            self._ends_at = float("-inf")
            if self._revision is not None:
                await self._end_own_lease(self._revision)

    async def _end_own_lease(self, revision: int) -> None:
        try:
            await self._store.put(Dataset.NODES, self.node, replace(self._lease, over=True).encoded(), revision)
        except (ConflictError, StoreUnavailableError) as error:
            logger.debug("the lease of this node could not be ended and will expire: {}", error)

    # Other nodes

    async def _end_leases_repeatedly(self) -> None:
        while True:
            await asyncio.sleep(self.lease_s / POLLS_PER_LEASE)
            try:
                await self._end_expired_leases()
            except StoreUnavailableError as error:
                logger.debug("a lease could not be ended: {}", error)

    async def _end_expired_leases(self) -> None:
        """End the leases that were not renewed for their length while this node was a member."""
        now = self.steady()
        if not self.holds_lease:
            return
        for seen in self._others():
            silent_s = now - max(seen.seen_at, self._member_since)
            if silent_s > self.lease_s:
                await self._end_lease(seen, silent_s)

    async def _end_lease(self, seen: SeenLease, silent_s: float) -> None:
        node, over = seen.lease.node, replace(seen.lease, over=True).encoded()
        try:
            revision = await self._store.put(Dataset.NODES, node, over, seen.revision)
        except ConflictError:
            await self.leases.look_up(node)
        else:
            logger.warning("node {} was silent for {:.1f} s; its lease has been ended", node, silent_s)
            self.leases.observe(StoredValue(node, over, revision))
            self._on_change()

    # This node

    async def _renew_repeatedly(self) -> None:
        await self.leases.caught_up.wait()
        while True:
            try:
                async with self._renewing:
                    await self._renew()
            except StoreUnavailableError as error:
                logger.debug("the lease of this node could not be renewed: {}", error)
            await self._wait_until_due()

    async def _wait_until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.lease_s / RENEWALS):
                await asyncio.sleep(min(REPAIR_S, self.lease_s / POLLS_PER_LEASE))
                await self._renew_now.wait()
        self._renew_now.clear()

    async def _renew(self) -> None:
        """Write our lease again, or for the first time once the name is free."""
        if self._has_left:
            return
        if self._revision is None:
            self._revision = await self._free_revision()
        if self._revision is None:
            return
        renewed, sent_at = replace(self._lease, beat=self._lease.beat + 1), self.steady()
        try:
            revision = await self._store.put(Dataset.NODES, self.node, renewed.encoded(), self._revision)
        except ConflictError:
            await self._recover()
        else:
            self._lease = replace(self._lease, beat=renewed.beat)  # another field may have changed meanwhile
            self._on_renewed(revision, sent_at)

    def _on_renewed(self, revision: int, sent_at: float) -> None:
        held_lease, self._revision = self.holds_lease, revision
        self._ends_at = sent_at + self.lease_s * (1 - MARGIN)
        if not held_lease:
            self._member_since = self.steady()
            logger.info("node {} is a member of the cluster", self.node)
            self._on_change()

    async def _free_revision(self) -> int | None:
        """Return where to write our lease if the name is free: no lease has it, or its lease has ended or is old."""
        seen = await self.leases.look_up(self.node)
        if seen is None:
            return 0
        if seen.has_ended or self.steady() - seen.seen_at > self.lease_s:
            return seen.revision
        if not self._waits_for_name:
            logger.warning(
                "another daemon runs, or ran until just now, as node {}; waiting for its lease to end", self.node
            )
        self._waits_for_name = True
        return None

    async def _recover(self) -> None:
        """After a conflict: keep the session if no other node has ended it, or start a new one."""
        stored = await self._store.get(Dataset.NODES, self.node)
        lease = lease_from(stored) if stored is not None else None
        if self._is_ours(lease):
            self._revision = stored.revision if stored is not None else 0
            self._renew_now.set()
            return
        logger.warning("another node ended the lease of node {}; starting a new session", self.node)
        self._ends_at, self._revision = float("-inf"), None
        self._lease = replace(self._lease, session=self.new_id(), beat=0)
        self._on_change()

    def _is_ours(self, lease: Lease | None) -> bool:
        """Return whether our session goes on; None stands for a lease that was deleted or cannot be read."""
        if lease is None:
            return self.holds_lease
        return lease.session == self.session and not lease.over

    def _on_unreadable(self, node: str) -> None:
        if node == self.node:
            self._renew_now.set()


def node_for(key: str, nodes: Collection[str]) -> str | None:
    """Return the node that the key belongs to, or None if there are no nodes.

    When a node joins, only keys that now belong to it move; when one leaves, only its own.
    """
    return max(nodes, key=lambda node: (_weight(key, node), node), default=None)


def nodes_before(node: str, key: str, nodes: Collection[str]) -> list[str]:
    """Return the nodes that the key belongs to before this one."""
    own = _weight(key, node), node
    return [one for one in nodes if (_weight(key, one), one) > own]


def _weight(key: str, node: str) -> int:
    digest = blake2b(f"{node}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
