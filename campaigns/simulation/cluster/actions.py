"""Random actions on the nodes of a cluster and on their engine."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from typing_extensions import override

from campaigns.simulation.actions import Actions, ActionTarget
from campaigns.simulation.cluster.engine import WatchedEngine
from campaigns.simulation.cluster.faults import ClusterFault, ClusterFaults
from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.cluster.scenario import LEASE_S
from campaigns.simulation.wire import Wire
from statemachine.cluster.records import Lease, Record

GARBAGE = (
    None,
    b"",
    b"[]",
    b"{}",
    b"[" * 10_000,
    b'{"version": 99}',
    Lease("z", "another session", over=True).encoded(),
    Record("another session", "z").encoded("another server"),
)
"""What replaces a shared value; None deletes its key."""


class ClusterTarget(ActionTarget, Protocol):
    """The cluster simulation that the actions change."""

    engine: WatchedEngine

    @property
    def nodes(self) -> Sequence[SimNode]: ...

    def submitter(self) -> SimNode: ...


class ClusterActions(Actions):
    """The actions of one daemon and those of a cluster."""

    def __init__(
        self, target: ClusterTarget, faults: ClusterFaults, rng: Random, every_s: float, note: Callable[..., None]
    ) -> None:
        super().__init__(target, faults, rng, every_s, note)
        self._cluster = target

    @override
    def _do(self, kind: StrEnum, wire: Wire) -> Coroutine[Any, Any, None]:
        return CLUSTER_ACTIONS[kind](self) if isinstance(kind, ClusterFault) else super()._do(kind, wire)

    @override
    async def undo(self) -> None:
        await super().undo()
        self._cluster.engine.slow_s = 0.0
        self._cluster.engine.up()
        for node in self._cluster.nodes:
            self._cluster.engine.heal(node.name)

    async def _victim(self) -> SimNode:
        """Return a random node, often the one that is about to submit."""
        if self._rng.random() < 0.6:
            await self._target.next_submission()
            await asyncio.sleep(self._rng.choice((0.0, 0.0, 0.0005, 0.002, 0.01, 0.1, 2.0)))
            return self._cluster.submitter()
        return self._rng.choice(self._cluster.nodes)

    async def stop_node(self) -> None:
        """Freeze a node for up to three leases, sometimes with slow writes to the engine in transit."""
        self._cluster.engine.slow_s = self._rng.choice((0.0, 0.3))
        node = await self._victim()
        long = self._rng.random() < 0.5
        await node.freeze(LEASE_S * (0.7 + 1.5 * self._rng.random()) if long else self._log_uniform(0.1, 3 * LEASE_S))
        self._cluster.engine.slow_s = 0.0

    async def cut_off(self) -> None:
        """Cut a node off from the engine; some of its last writes still arrive."""
        node = await self._victim()
        self._cluster.engine.cut(node.name)
        await asyncio.sleep(self._log_uniform(0.2, 6 * LEASE_S))
        self._cluster.engine.heal(node.name)

    async def blind(self) -> None:
        """Cut one node off from all servers."""
        node = await self._victim()
        for wire in node.wires.values():
            wire.begin_outage()
        await asyncio.sleep(self._log_uniform(1.0, 60.0))
        for wire in node.wires.values():
            wire.outage = False

    async def leave_node(self) -> None:
        """Stop a node gracefully; it joins again later."""
        node = await self._victim()
        await node.leave(self._rng.choice((0.0, 1.0, 20.0, 60.0)))

    async def engine_away(self) -> None:
        """Cut all nodes off from the engine."""
        self._cluster.engine.down()
        await asyncio.sleep(self._log_uniform(0.5, 60.0))
        self._cluster.engine.up()

    async def engine_slow(self) -> None:
        """Slow down the engine's replies, some beyond the timeout."""
        self._cluster.engine.slow_s = self._log_uniform(0.02, 2.0)
        await asyncio.sleep(self._log_uniform(1.0, 30.0))
        self._cluster.engine.slow_s = 0.0

    async def damage_values(self) -> None:
        """Overwrite or delete some of the shared keys, several times, often while a node is about to submit."""
        await self._victim()
        for _ in range(self._rng.choice((1, 3, 10))):
            for bucket, keys in self._cluster.engine.shared_keys().items():
                for key in keys:
                    if self._rng.random() < 0.5:
                        self._cluster.engine.damage(bucket, key, self._rng.choice(GARBAGE))
            await asyncio.sleep(self._log_uniform(0.01, LEASE_S))


CLUSTER_ACTIONS: Mapping[ClusterFault, Callable[[ClusterActions], Coroutine[Any, Any, None]]] = {
    ClusterFault.NODE_STOPPED: ClusterActions.stop_node,
    ClusterFault.NODE_CUT_OFF: ClusterActions.cut_off,
    ClusterFault.NODE_BLIND: ClusterActions.blind,
    ClusterFault.NODE_LEFT: ClusterActions.leave_node,
    ClusterFault.ENGINE_AWAY: ClusterActions.engine_away,
    ClusterFault.ENGINE_SLOW: ClusterActions.engine_slow,
    ClusterFault.VALUE_DAMAGED: ClusterActions.damage_values,
}
