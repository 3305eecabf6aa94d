"""The parts of a daemon that read what the fleet publishes, and remember something of each server."""

from contextlib import AsyncExitStack

from typing_extensions import override

from campaigns.simulation.scenario import workflows
from statemachine.alerts.channels import Channel
from statemachine.alerts.notification import Notification
from statemachine.alerts.service import AlertService
from statemachine.alerts.store import JournalAlertStore
from statemachine.core.ports import Clock
from statemachine.journal.port import JournalPort
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.snapshot import Snapshot
from statemachine.rollouts.watch import Renewals
from statemachine.settings import Settings
from statemachine.traffic.group_loads import GroupLoads
from statemachine.traffic.router import ModelsRouter
from statemachine.warmth import Warmth

TARGET_WAIT_S = 60.0


class Inbox(Channel):
    """Accepts every notification."""

    @override
    async def send(self, notification: Notification) -> None:
        pass


class Readers:
    """Warmth, alerts, routing, wanted servers and rolling restarts over one snapshot."""

    def __init__(self, snapshot: Snapshot, bus: Bus, journal: JournalPort, clock: Clock, settings: Settings) -> None:
        now = clock.now  # virtual time is both the wall clock and a steady one
        self._snapshot, self._bus, self._settings = snapshot, bus, settings
        self.warmth = Warmth(journal, snapshot, clock.now)
        self.renewals = Renewals(now)
        snapshot.add_follower(self.renewals)
        self.router = ModelsRouter(snapshot, workflows, now)
        self.loads = GroupLoads(snapshot, now, TARGET_WAIT_S)
        store = JournalAlertStore(journal)
        self.alerts = AlertService(snapshot, store, Counters(), clock, channels=lambda _: [Inbox()])
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """Follow the journal and the bus."""
        await self._running.enter_async_context(self.warmth.following())
        await self._running.enter_async_context(self.alerts.running(self._settings, self._bus))

    async def close(self) -> None:
        """Stop following."""
        await self._running.aclose()

    async def ask(self) -> None:
        """Ask for what clients ask for."""
        self.router.choose(None, list(self._snapshot))
        self.loads.demands()
        await self.warmth.survey()
