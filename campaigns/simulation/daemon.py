"""A simulated daemon process: the real fleet over a simulated network, disk and clock."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loguru import logger
from typing_extensions import override

from campaigns.simulation.disk import Disk, InlineRunner, WatchedStore
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.network import SimTransport
from campaigns.simulation.scenario import workflows
from campaigns.simulation.wire import Wire
from statemachine.comfyui.transport import Transport
from statemachine.core.backoff import Budget
from statemachine.core.log_entry import LogEntry, Transition
from statemachine.core.ports import Clock
from statemachine.core.server import Attempt, Server, ServerView
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.fleet.permits import Permits
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalPort, OnCommitted, OnHealth
from statemachine.journal.recorder import Recorder
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import Bus
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.snapshot import ServerDetail, Snapshot
from statemachine.repair.port import HookRunner, NoHooks
from statemachine.settings import ServerConfig, Settings, resolve_servers


class WatchedPublisher(Publisher):
    """The real publisher, which first reports each started server to the invariants."""

    def __init__(self, invariants: Invariants, snapshot: Snapshot, bus: Bus) -> None:
        super().__init__(snapshot, bus, WatchedLog(invariants))
        self._invariants = invariants

    @override
    def publish_current(self, config: ServerConfig, server: Server, detail: ServerDetail) -> None:
        self._invariants.runner_started(config.name, server.state)
        super().publish_current(config, server, detail)


class WatchedRecorder(Recorder):
    """The real recorder, which first reports each transition to the invariants."""

    def __init__(self, invariants: Invariants, journal: JournalPort, now: Callable[[], float]) -> None:
        super().__init__(journal, now)
        self._invariants = invariants

    @override
    def transition(self, transition: Transition, view: ServerView, attempt: Attempt | None) -> None:
        self._invariants.transition(transition)
        self._invariants.on_view(view)
        super().transition(transition, view, attempt)


class WatchedLog(TransitionLog):
    """The real transition log, which first reports each entry's number to the invariants."""

    def __init__(self, invariants: Invariants) -> None:
        super().__init__()
        self._invariants = invariants

    @override
    def write(self, entry: LogEntry) -> None:
        self._invariants.entry_published(entry.seq, entry.server, entry.dest.value if entry.dest else None)
        super().write(entry)


@dataclass(frozen=True)
class Parts:
    """Factories of the parts that a planted fault may replace."""

    transport: Callable[[Wire, "SimDaemon"], Transport] = SimTransport
    journal: Callable[[Callable[[], JournalStore], InlineRunner, OnCommitted, OnHealth], Journal[ServerView]] = Journal
    permits: Callable[[Budget], Permits] = Permits
    fleet: Callable[[LoadedConfig, FleetPorts], ManagedFleet] = ManagedFleet
    settings: Callable[[Settings], Settings] = lambda settings: settings


REAL_PARTS = Parts()
"""The parts that the daemon itself uses."""


class SimDaemon:
    """One daemon process. After `crash`, `dead` is set and the daemon sends nothing more."""

    def __init__(
        self,
        parts: Parts,
        settings: Settings,
        clock: Clock,
        disk: Disk,
        wires: Mapping[str, Wire],
        invariants: Invariants,
        hooks: Callable[["SimDaemon"], HookRunner] = lambda _: NoHooks(),
    ) -> None:
        self.dead = False
        settings = parts.settings(settings)
        self._invariants, self._disk = invariants, disk
        self._stores: list[WatchedStore] = []
        self.snapshot, self.bus = Snapshot(), Bus()
        publisher = WatchedPublisher(invariants, self.snapshot, self.bus)
        self.journal = journal = parts.journal(
            self._open_store, InlineRunner(disk, self), publisher.on_committed, lambda _: None
        )
        self.recorder = WatchedRecorder(invariants, journal, clock.now)
        limits = settings.limits
        ports = FleetPorts(
            clock=clock,
            journal=journal,
            recorder=self.recorder,
            permits=parts.permits(Budget(limits.max_warming, limits.max_warming_per_host)),
            publisher=publisher,
            transport_for=lambda config: parts.transport(wires[config.name], self),
            hooks=hooks(self),
        )
        self.fleet = parts.fleet(LoadedConfig(settings, resolve_servers(settings), workflows()), ports)
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the daemon in the background."""
        self._invariants.daemon_started()
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def started(self) -> None:
        """Wait until the fleet has started; the real daemon reloads only after that."""
        assert self._starting is not None
        await asyncio.wait({self._starting})

    def _open_store(self) -> WatchedStore:
        self._stores.append(WatchedStore(self._disk))
        return self._stores[-1]

    async def _start(self) -> None:
        """Start the fleet; log an exception, which the simulation reports as a violation."""
        try:
            await self.journal.open()
            await self.fleet.start()
        except Exception:
            logger.exception("the fleet cannot start")

    async def crash(self) -> None:
        """End as by SIGKILL: uncommitted entries are lost, sent requests stay in transit."""
        self.dead = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.fleet.stop()
        for store in self._stores:
            store.close()
