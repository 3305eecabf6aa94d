"""The adversity that comes over nodes and their engine."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from typing_extensions import override

from campaigns.simulation.actions import Actions, Stage
from campaigns.simulation.cluster.engine import WatchedEngine
from campaigns.simulation.cluster.faults import ClusterFault, ClusterFaults
from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.cluster.scenario import LEASE_S
from campaigns.simulation.wire import Wire


class ClusterStage(Stage, Protocol):
    """The cluster that the actions change."""

    engine: WatchedEngine

    @property
    def nodes(self) -> Sequence[SimNode]: ...

    def submitter(self) -> SimNode: ...


class ClusterActions(Actions):
    """Those of one daemon's world, and those of a cluster."""

    def __init__(
        self, stage: ClusterStage, faults: ClusterFaults, rng: Random, every_s: float, note: Callable[..., None]
    ) -> None:
        super().__init__(stage, faults, rng, every_s, note)
        self._cluster = stage

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
        """Any node, often the one that is just about to submit."""
        if self._rng.random() < 0.6:
            await self._stage.next_submission()
            await asyncio.sleep(self._rng.choice((0.0, 0.0, 0.0005, 0.002, 0.01, 0.1, 2.0)))
            return self._cluster.submitter()
        return self._rng.choice(self._cluster.nodes)

    async def stop_node(self) -> None:
        """The process stands still, up to thrice the length of a lease; some with much on the way to the engine."""
        self._cluster.engine.slow_s = self._rng.choice((0.0, 0.3))
        node = await self._victim()
        long = self._rng.random() < 0.5
        await node.stand_still(LEASE_S * (0.7 + 1.5 * self._rng.random()) if long else self._some(0.1, 3 * LEASE_S))
        self._cluster.engine.slow_s = 0.0

    async def cut_off(self) -> None:
        """A node does not reach the engine; of its last writes some are done."""
        node = await self._victim()
        self._cluster.engine.cut(node.name)
        await asyncio.sleep(self._some(0.2, 6 * LEASE_S))
        self._cluster.engine.heal(node.name)

    async def blind(self) -> None:
        """A node does not reach the servers, though the others do."""
        node = await self._victim()
        for wire in node.wires.values():
            wire.begin_outage()
        await asyncio.sleep(self._some(1.0, 60.0))
        for wire in node.wires.values():
            wire.outage = False

    async def let_leave(self) -> None:
        """A node is told to end, and joins again later."""
        node = await self._victim()
        await node.leave(self._rng.choice((0.0, 1.0, 20.0, 60.0)))

    async def engine_away(self) -> None:
        """Nobody reaches the engine."""
        self._cluster.engine.down()
        await asyncio.sleep(self._some(0.5, 60.0))
        self._cluster.engine.up()

    async def engine_slow(self) -> None:
        """Each of its answers takes long, some too long."""
        self._cluster.engine.slow_s = self._some(0.02, 2.0)
        await asyncio.sleep(self._some(1.0, 30.0))
        self._cluster.engine.slow_s = 0.0


CLUSTER_ACTIONS: Mapping[ClusterFault, Callable[[ClusterActions], Coroutine[Any, Any, None]]] = {
    ClusterFault.NODE_STOPPED: ClusterActions.stop_node,
    ClusterFault.NODE_CUT_OFF: ClusterActions.cut_off,
    ClusterFault.NODE_BLIND: ClusterActions.blind,
    ClusterFault.NODE_LEFT: ClusterActions.let_leave,
    ClusterFault.ENGINE_AWAY: ClusterActions.engine_away,
    ClusterFault.ENGINE_SLOW: ClusterActions.engine_slow,
}
