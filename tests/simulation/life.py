"""One life of the daemon: the real fleet, composed as the composition root does it, over simulated surroundings."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loguru import logger
from typing_extensions import override

from statemachine.comfyui.transport import Transport
from statemachine.core.attempt import Attempt
from statemachine.core.backoff import Budget
from statemachine.core.clock import Clock
from statemachine.core.log_entry import LogEntry, Transition
from statemachine.core.outage import OutageDetector
from statemachine.fleet.context import FleetContext, ServerContext
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import OutageGuard
from statemachine.fleet.transition_log import TransitionLog
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalPort
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import Bus
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import ServerConfig, Settings, resolve_servers
from tests.simulation.disk import Disk, InLoop, WatchedStore
from tests.simulation.judge import Judge
from tests.simulation.network import SimTransport
from tests.simulation.scenario import workflows
from tests.simulation.wire import Wire


class WatchedPublisher(Publisher):
    """The real publisher, which the judge hears first."""

    def __init__(self, journal: JournalPort, judge: Judge, told: "WatchedLog", snapshot: Snapshot, bus: Bus) -> None:
        super().__init__(journal, snapshot, bus, told)
        self._judge = judge

    @override
    def publish_current(self, desk: ServerContext) -> None:
        self._judge.placed(desk.config.name, desk.server.state)
        super().publish_current(desk)

    @override
    def transition(self, desk: ServerContext, transition: Transition, attempt: Attempt | None) -> None:
        self._judge.transition(transition)
        super().transition(desk, transition, attempt)


class WatchedLog(TransitionLog):
    """The real log, the last that hears of an entry; the judge hears of its number."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self._judge = judge

    @override
    def write(self, entry: LogEntry) -> None:
        self._judge.told_entry(entry.seq, entry.server, entry.dest.value if entry.dest else None)
        super().write(entry)


@dataclass(frozen=True)
class Parts:
    """The makers of what a mutant may replace with something wrong."""

    transport: Callable[[Wire, "DaemonLife"], Transport] = SimTransport
    journal: Callable[[Callable[[], JournalStore], InLoop], Journal] = Journal
    permits: Callable[[Budget], Permits] = Permits
    fleet: Callable[[Sequence[ServerConfig], FleetContext, Publisher, Callable[[ServerConfig], Transport]], Fleet] = (
        lambda servers, shared, publisher, transport_for: Fleet(servers, workflows(), shared, publisher, transport_for)
    )
    settings: Callable[[Settings], Settings] = lambda settings: settings


RIGHT = Parts()
"""The parts that the composition root uses, as far as they can be used here."""


class DaemonLife:
    """Born with `start`, killed by `crash`. `dead` is the moment of death: from then on nothing leaves it."""

    def __init__(
        self, parts: Parts, settings: Settings, world: Clock, disk: Disk, wires: Mapping[str, Wire], judge: Judge
    ) -> None:
        self.dead = False
        settings = parts.settings(settings)
        self._judge, self._disk = judge, disk
        self._stores: list[WatchedStore] = []
        self._journal = journal = parts.journal(self._open_store, InLoop(disk, self))
        publisher = WatchedPublisher(journal, judge, WatchedLog(judge), Snapshot(), Bus())
        limits = settings.limits
        shared = FleetContext(
            settings=settings,
            clock=world,
            journal=journal,
            permits=parts.permits(Budget(limits.max_warming, limits.max_warming_per_host)),
            check_slots=asyncio.Semaphore(limits.max_checks),
            outage=OutageGuard(OutageDetector(), lambda notice: publisher.notice(notice, world.now())),
        )
        self.fleet = parts.fleet(
            resolve_servers(settings), shared, publisher, lambda config: parts.transport(wires[config.name], self)
        )
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Be born."""
        self._judge.born()
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def started(self) -> None:
        """Until the fleet has been started: only then does the composition root reload."""
        assert self._starting is not None
        await asyncio.wait({self._starting})

    def _open_store(self) -> WatchedStore:
        self._stores.append(WatchedStore(self._disk))
        return self._stores[-1]

    async def _start(self) -> None:
        """A fleet that cannot start raises, which the composition root would report; here it is for the log's ear."""
        try:
            await self._journal.open()
            await self.fleet.start()
        except Exception:
            logger.exception("the fleet cannot start")

    async def crash(self) -> None:
        """Die at this instant, as by SIGKILL: what is not committed is lost, what has left is on its way."""
        self.dead = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.fleet.stop()
        for store in self._stores:
            store.close()
