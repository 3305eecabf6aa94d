"""Which nodes live: our own lease, renewed, and what is seen of the others'.

Time is each node's own steady clock; no two clocks are compared. We count our lease from the moment *before* a renewal
was sent, others from the moment at which they *saw* it, which is later. So ours is over first: by `MARGIN` of its
length, and by the time that a renewal takes to be seen. A lease is ended by writing over it at the revision that was
seen: a node that has renewed meanwhile lives on, one that has not learns of its end at its next renewal.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from loguru import logger

from statemachine.cluster.records import Lease, lease_from
from statemachine.cluster.store import ConflictError, CutOffError, Dataset, Kept, SharedStore

MARGIN = 0.2
"""Of the lease's length: so long before it can be taken from us we stop."""

RENEWALS = 5
"""In the length of a lease."""

POLLS_PER_LEASE = 20
"""At the others' leases, in the length of one: whoever waits for a lease to end waits for its servers."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`node` is the name in the settings; `steady` returns seconds of a clock that is never set, also while stopped."""

    node: str
    lease_s: float
    steady: Callable[[], float]
    new_id: Callable[[], str]


class Membership:
    """One node's part in the cluster, from `run` to `leave`.

    `on_change` is called whenever the living nodes, or our own standing, may have changed.
    """

    def __init__(
        self,
        store: SharedStore,
        identity: Identity,
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._lease_s = identity.lease_s
        self._steady = identity.steady
        self.new_id = identity.new_id
        self._mine = Lease(identity.node, identity.new_id())
        self._revision = 0
        self._ends_at = float("-inf")
        self._heard_since = float("-inf")
        self._seen: dict[str, tuple[Kept, Lease, float]] = {}
        self._caught_up = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._hurry = asyncio.Event()
        self._has_left = False
        self._waits_for_its_name = False
        self._on_change = on_change

    @property
    def node(self) -> str:
        """Our name."""
        return self._mine.node

    @property
    def session(self) -> str:
        """Ours. Another one begins when a lease of ours was ended by others."""
        return self._mine.session

    @property
    def holds(self) -> bool:
        """Whether our lease certainly stands at this instant."""
        return self._steady() < self._ends_at

    def partners(self) -> list[str]:
        """The living nodes that look after the same servers as we do, ourselves among them if our lease stands."""
        others = [
            lease.node
            for _, lease, _ in self._seen.values()
            if lease.node != self.node and not lease.over and lease.fleet == self._mine.fleet
        ]
        return [*others, self.node] if self.holds else others

    def look_after(self, fleet: str) -> None:
        """Say which servers we have, at once if it can be: `fleet` is any text that stands for them."""
        self._mine = replace(self._mine, fleet=fleet)
        self._hurry.set()

    async def run(self) -> None:
        """Be a member until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._keep_renewing())
            tasks.create_task(self._keep_ending())

    async def leave(self) -> None:
        """Our servers are free from now on; to be called once nothing is done for them any more."""
        self._has_left = True
        async with self._renewing:
            self._ends_at = float("-inf")
            if self._revision:
                await self._end_ours()

    async def _end_ours(self) -> None:
        try:
            await self._store.put(Dataset.NODES, self.node, replace(self._mine, over=True).encoded(), self._revision)
        except (ConflictError, CutOffError) as error:
            logger.debug("our lease is left to end by itself: {}", error)

    async def is_over(self, node: str, session: str) -> bool:
        """Whether that session owns nothing any more. CutOffError where that cannot be found out."""
        seen = self._seen.get(node)
        if seen is None or seen[1].session != session:
            await self._look_up(node)
            seen = self._seen.get(node)
        return seen is None or seen[1].session != session or seen[1].over

    async def _look_up(self, node: str) -> None:
        """Ask the engine's leader: what we follow may come late."""
        kept = await self._store.get(Dataset.NODES, node)
        if kept is not None:
            self._see(kept)

    # The others

    async def _watch(self) -> None:
        async with aclosing(self._store.follow(Dataset.NODES)) as batches:
            async for batch in batches:
                for kept in batch.kept:
                    self._see(kept)
                if batch.caught_up:
                    self._caught_up.set()
                self._on_change()

    def _see(self, kept: Kept) -> None:
        before = self._seen.get(kept.key)
        if before is None or kept.revision > before[0].revision:
            self._seen[kept.key] = (kept, lease_from(kept.value), self._steady())

    async def _keep_ending(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / POLLS_PER_LEASE)
            try:
                await self._end_the_silent()
            except CutOffError as error:
                logger.debug("a lease could not be ended: {}", error)

    async def _end_the_silent(self) -> None:
        """End the leases of nodes from which nothing came for their length, while we ourselves were there to hear."""
        now = self._steady()
        if not self.holds:
            return
        for kept, lease, seen_at in list(self._seen.values()):
            silent_s = now - max(seen_at, self._heard_since)
            if lease.node != self.node and not lease.over and silent_s > self._lease_s:
                await self._end(kept, lease, silent_s)

    async def _end(self, kept: Kept, lease: Lease, silent_s: float) -> None:
        try:
            over = replace(lease, over=True).encoded()
            revision = await self._store.put(Dataset.NODES, lease.node, over, kept.revision)
        except ConflictError:
            await self._look_up(lease.node)
        else:
            logger.warning("node {} has been silent for {:.1f} s: its lease is ended", lease.node, silent_s)
            self._see(Kept(lease.node, over, revision))
            self._on_change()

    # Ourselves

    async def _keep_renewing(self) -> None:
        await self._caught_up.wait()
        while True:
            try:
                async with self._renewing:
                    await self._renew()
            except CutOffError as error:
                logger.debug("our lease could not be renewed: {}", error)
            await self._until_due()

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lease_s / RENEWALS):
                await self._hurry.wait()
        self._hurry.clear()

    async def _renew(self) -> None:
        """Write our lease anew. A lease of this name that is not ours is another process's, or ours of before."""
        if self._has_left or (not self._revision and not await self._may_begin()):
            return
        beat, began = replace(self._mine, beat=self._mine.beat + 1), self._steady()
        try:
            revision = await self._store.put(Dataset.NODES, self.node, beat.encoded(), self._revision)
        except ConflictError:
            await self._find_ourselves()
        else:
            self._mine = beat
            self._renewed(revision, began)

    def _renewed(self, revision: int, began: float) -> None:
        stood, self._revision = self.holds, revision
        self._ends_at = began + self._lease_s * (1 - MARGIN)
        if not stood:
            self._heard_since = self._steady()
            logger.info("node {} is a member of the cluster", self.node)
            self._on_change()

    async def _may_begin(self) -> bool:
        """Whether our name is free: new, or the lease under it is over, or has not been renewed for its length."""
        await self._look_up(self.node)
        seen = self._seen.get(self.node)
        if seen is None:
            return True
        kept, lease, seen_at = seen
        if lease.over or self._steady() - seen_at > self._lease_s:
            self._revision = kept.revision
            return True
        if not self._waits_for_its_name:
            logger.warning("another daemon runs, or ran until just now, as node {}: its lease is waited for", self.node)
        self._waits_for_its_name = True
        return False

    async def _find_ourselves(self) -> None:
        """Our lease has another revision: a renewal whose answer was lost, or somebody has ended it."""
        kept = await self._store.get(Dataset.NODES, self.node)
        lease = lease_from(kept.value) if kept is not None else None
        if kept is not None and lease is not None and lease.session == self.session and not lease.over:
            self._revision = kept.revision
            return
        logger.warning("the lease of node {} was ended by others: a new session begins", self.node)
        self._ends_at, self._revision = float("-inf"), 0
        self._mine = replace(self._mine, session=self.new_id(), beat=0)
        self._on_change()
