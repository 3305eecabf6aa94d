"""Nodes of a cluster over one shared store, each with the real fleet, journal and membership of a daemon."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

from typing_extensions import override

from campaigns.churn.churn import InlineThread
from campaigns.scale.servers import LoadedTransport, servers_of
from campaigns.simulation.scenario import workflows
from statemachine.cluster.journal import CopyFile
from statemachine.cluster.membership import Identity
from statemachine.cluster.node import ClusterNode, NodePublication
from statemachine.cluster.operator import ForwardingOperator
from statemachine.cluster.store import Dataset
from statemachine.core.ports import Clock
from statemachine.core.vocabulary import State
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.journal.store import JournalStore
from statemachine.publish.publisher import TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from tests.cluster.fake_store import FakeEngine, FakeStore

LEASE_S = 20.0
TIMEOUT_S = 5.0
ONE_WAY_S = 0.001
GROUPED_S = 0.002
"""Writes within this time reach the followers together, as with NATS under load."""


class CountedEngine(FakeEngine):
    """A store that counts what reaches it and what it sends."""

    def __init__(self) -> None:
        super().__init__(lambda: ONE_WAY_S)
        self.writes = 0
        self.messages = 0
        self._is_due = False

    @override
    def append(self, value: bytes, message_id: str) -> int:
        self.writes += 1
        return super().append(value, message_id)

    @override
    def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        self.writes += 1
        return super().put(bucket, key, value, revision)

    @override
    def change(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(GROUPED_S, self._wake)

    @property
    def stored_bytes(self) -> int:
        """The bytes of all values."""
        datasets = self.datasets.values()
        return sum(len(one.value) for data in datasets for one in (*data.log, *data.keys.values()))

    def _wake(self) -> None:
        self._is_due = False
        super().change()


class CountedStore(FakeStore):
    """A node's connection, which counts the messages that it sends."""

    @override
    def publish(self, subject: str, value: bytes) -> None:
        engine = self._engine
        if isinstance(engine, CountedEngine):
            engine.messages += 1
        super().publish(subject, value)


class ScaleNode:
    """One node, from `start` to `die`."""

    def __init__(self, engine: CountedEngine, name: str, folder: Path, settings: Settings, servers: int) -> None:
        self.name = name
        self._engine = engine
        store = engine.stores[name] = CountedStore(engine, name, TIMEOUT_S)
        self.snapshot, loop = Snapshot(), asyncio.get_running_loop()
        clock = Clock(now=loop.time, uniform=Random(name).random, new_id=_ids(name))
        limits = settings.limits
        self.node = ClusterNode(
            store,
            Identity(name, LEASE_S, loop.time, clock.new_id),
            CopyFile(lambda: JournalStore(folder / f"{name}.sqlite3"), InlineThread()),
            NodePublication(self.snapshot, TransitionLog(), clock.now),
            (limits.max_warming, limits.max_warming_per_host),
        )
        ports = FleetPorts(
            clock=clock,
            journal=self.node.journal,
            recorder=self.node.recorder,
            permits=self.node.permits,
            publisher=self.node.publisher,
            transport_for=lambda _: LoadedTransport(),
            ownership=self.node.ownership,
        )
        self.fleet = ManagedFleet(LoadedConfig(settings, servers_of(settings, servers), workflows()), ports)
        self._operator = ForwardingOperator(store, self.node.ownership, name, self.fleet, self.node.bus.has_server)
        self._running: asyncio.Task[None] | None = None

    @property
    def owned(self) -> int:
        """How many servers the node looks after."""
        return len(self.node.ownership.records)

    @property
    def loaded(self) -> int:
        """How many servers the node shows as loaded."""
        return self.snapshot.states.get(State.LOADED, 0)

    async def join(self) -> None:
        """Join the cluster, still without servers."""
        await self.node.journal.open()
        self._running = asyncio.get_running_loop().create_task(self.node.run())
        await self._operator.listen()

    async def start(self) -> None:
        """Start the fleet as a daemon does."""
        self.fleet.show()
        await self.fleet.start()

    async def die(self) -> None:
        """End the node without a word to the others."""
        self._engine.cut(self.name)
        await self.fleet.stop()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self.node.journal.close()
        self._engine.stores.pop(self.name)


def _ids(node: str) -> Callable[[], str]:
    rng = Random(f"{node}/ids")
    return lambda: f"{rng.getrandbits(128):032x}"
