"""A simulated daemon process of a cluster node."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress

from loguru import logger
from typing_extensions import override

from campaigns.simulation.cluster.engine import NodeStore, WatchedEngine
from campaigns.simulation.cluster.invariants import ClusterInvariants
from campaigns.simulation.cluster.processes import Process, outside
from campaigns.simulation.cluster.scenario import LEASE_S
from campaigns.simulation.daemon import WatchedLog, WatchedPublisher, WatchedRecorder
from campaigns.simulation.disk import Disk, InlineRunner, WatchedStore
from campaigns.simulation.network import SimTransport
from campaigns.simulation.scenario import workflows
from campaigns.simulation.wire import Wire
from statemachine.cluster.journal import CopyFile
from statemachine.cluster.membership import Identity
from statemachine.cluster.node import ClusterNode, NodePublication
from statemachine.cluster.operator import ForwardingOperator
from statemachine.cluster.store import StoreUnavailableError
from statemachine.comfyui.transport import Reply
from statemachine.core.ports import Action, Clock, NotOwnedError
from statemachine.daemon.clustered import LEAVES_WITHIN_S
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.publish.snapshot import Snapshot
from statemachine.repair.port import HookRunner, NoHooks
from statemachine.settings import Settings, resolve_servers


class OutsideTransport(SimTransport):
    """A transport whose requests in transit do not belong to the process."""

    @override
    async def _get(self, path: str, accept: str | None) -> tuple[Reply, bool]:
        return await _outside(super()._get(path, accept))

    @override
    async def _post(self, method: str, path: str, body: bytes) -> tuple[Reply, bool]:
        return await _outside(super()._post(method, path, body))


async def _outside(work: Coroutine[None, None, tuple[Reply, bool]]) -> tuple[Reply, bool]:
    reply, genuine = await outside(work)
    return reply, genuine


class NodeDaemon:
    """One daemon process of a node. `process` can be frozen; `leave` and `crash` end it."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        engine: WatchedEngine,
        disk: Disk,
        wires: Mapping[str, Wire],
        invariants: ClusterInvariants,
        hooks: Callable[[Process], HookRunner] = lambda _: NoHooks(),
    ) -> None:
        self.process = process = Process()
        self.leaving = False
        self.snapshot = Snapshot()
        self._invariants, self._disk = invariants, disk
        self._files: list[WatchedStore] = []
        store = NodeStore(engine, invariants.node, process)
        limits = settings.limits.max_warming, settings.limits.max_warming_per_host
        loop_time = asyncio.get_running_loop().time
        identity = Identity(invariants.node, LEASE_S, loop_time, clock.new_id)
        self.node = node = ClusterNode(
            store,
            identity,
            CopyFile(self._open_file, InlineRunner(disk, process)),
            NodePublication(self.snapshot, WatchedLog(invariants), clock.now),
            limits,
        )
        ports = FleetPorts(
            clock=clock,
            journal=node.journal,
            recorder=WatchedRecorder(invariants, node.journal, clock.now),
            permits=node.permits,
            publisher=WatchedPublisher(invariants, self.snapshot, node.bus),
            transport_for=lambda config: OutsideTransport(wires[config.name], process),
            ownership=node.ownership,
            claims=node.claims,
            hooks=hooks(process),
        )
        self.fleet = ManagedFleet(LoadedConfig(settings, resolve_servers(settings), workflows()), ports)
        self._operator = ForwardingOperator(store, node.ownership, invariants.node, self.fleet, node.bus.has_server)
        self._running: asyncio.Task[None] | None = None

    @property
    def runs(self) -> bool:
        """Whether the process is neither dead nor leaving."""
        return not (self.process.dead or self.leaving)

    def start(self) -> None:
        """Start the daemon in the background."""
        self._invariants.daemon_started()
        self.process.create_task(self._start())

    def _open_file(self) -> WatchedStore:
        self._files.append(WatchedStore(self._disk))
        return self._files[-1]

    async def _start(self) -> None:
        try:
            await self.node.journal.open()
            self._running = asyncio.get_running_loop().create_task(self.node.run())
            await self._listen()
            self.fleet.show()
            await self.fleet.start()
        except Exception:
            logger.exception("the node cannot start")

    async def _listen(self) -> None:
        """Retry until the engine is reachable; a supervisor restarts the real daemon instead."""
        while True:
            try:
                return await self._operator.listen()
            except StoreUnavailableError:
                await asyncio.sleep(1.0)

    async def act(self, server: str, action: str) -> bool:
        """Act as an operator at this node; return whether the action was carried out."""
        done: list[bool] = []

        async def request() -> None:
            with suppress(NotOwnedError):
                done.append(await self._operator.act(server, Action(action)))

        await asyncio.wait({self.process.create_task(request())})
        return bool(done)

    async def leave(self) -> None:
        """End as by SIGTERM."""
        self.leaving = True
        await asyncio.wait({self.process.create_task(self._leave())})
        await self.crash()

    async def _leave(self) -> None:
        await self.fleet.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVES_WITHIN_S):
                await self.node.leave()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self.node.journal.close()

    async def crash(self) -> None:
        """End as by SIGKILL."""
        await self.process.kill()
        for file in self._files:
            file.close()
        self._files.clear()
