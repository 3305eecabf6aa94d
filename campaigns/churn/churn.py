"""One churn: machines join and leave, and what the fleet must make of it is checked every minute."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from campaigns.churn.growth import ChurnSample, measured, rows_of
from campaigns.churn.readers import Readers
from campaigns.churn.sources import TroubledSource
from campaigns.churn.world import Machine, World
from campaigns.simulation.network import SimTransport
from campaigns.simulation.scenario import workflows
from statemachine.core.backoff import Budget
from statemachine.core.ports import Action, Clock
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.discovery.registration import Registrations
from statemachine.discovery.service import Discovery
from statemachine.discovery.source import NoRegistrationError, TargetSource
from statemachine.discovery.store import KnownTargets
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.fleet.permits import Permits
from statemachine.journal.journal import Journal
from statemachine.journal.recorder import Recorder
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import Bus
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.settings.discovery import Source

GRACE_S = 300.0
HEARTBEAT_S = 15.0
HEARD = 0.9
"""Share of the heartbeats that arrive."""

WARM_WITHIN_S = 300.0
CHECK_S = 60.0
RECHECK_S = 5.0
SETTLE_S = 5 * GRACE_S
STAY_S = (600.0, 3000.0)
SOURCES = ("cloud", "dns", "nodes")
PAUSED = 0.1
"""Share of the machines that an operator pauses for a minute, before they leave."""

PAUSE_S, PAUSED_BEFORE_S = 60.0, 500.0
HOUR_S = 3600.0
KEPT_S = 2 * HOUR_S
"""Age at which the journal deletes what is old: the least setting, a day, is the whole churn."""

SAMPLES = 24


@dataclass
class ChurnReport:
    """What a churn has shown. `warm_after_s` has the time from listing to loaded of each machine."""

    joined: int = 0
    left: int = 0
    removed: int = 0
    paused: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    warm_after_s: list[float] = field(default_factory=list)
    samples: list[ChurnSample] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class MemoryStore:
    """A store of the last known targets without a file."""

    async def load(self) -> KnownTargets:
        return KnownTargets()

    async def save(self, _known: KnownTargets) -> None:
        pass


class InlineThread:
    """The journal's thread, without a thread."""

    async def __call__(self, call: Callable[[], Any]) -> Any:
        await asyncio.sleep(0.0005)
        return call()


class Churn:
    """A daemon's fleet and discovery over a world of machines."""

    dead = False

    def __init__(self, seed: int, folder: Path, per_hour: float, duration_s: float) -> None:
        self.report = ChurnReport()
        self._rng = Random(f"{seed}/churn")
        self._per_hour, self._duration_s = per_hour, duration_s
        self.world = World(Random(f"{seed}/world"))
        self._sources: list[TroubledSource] = []
        self._settings, self._file = _settings(), folder / "journal.sqlite3"
        self._snapshot = Snapshot()
        bus = Bus()
        publisher = Publisher(self._snapshot, bus, TransitionLog())
        clock = Clock(now=_now, uniform=Random(f"{seed}/chance").random, new_id=self._new_id)
        self._journal = Journal[ServerView](
            lambda: JournalStore(self._file), InlineThread(), publisher.on_committed, lambda _: None
        )
        recorder = Recorder(self._journal, clock.now)
        limits = self._settings.limits
        ports = FleetPorts(
            clock=clock,
            journal=self._journal,
            recorder=recorder,
            permits=Permits(Budget(limits.max_warming, limits.max_warming_per_host)),
            publisher=publisher,
            transport_for=lambda config: SimTransport(self.world.wires[config.name], self),
        )
        self.fleet = ManagedFleet(LoadedConfig(self._settings, (), workflows()), ports)
        self.discovery = Discovery(self._new_source, recorder.notice, MemoryStore(), clock)
        self._readers = Readers(self._snapshot, bus, self._journal, clock, self._settings)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_settling = False

    async def run(self) -> ChurnReport:
        """Run the churn, then a calm time in which the fleet must become what the sources list."""
        await self._journal.open()
        self.discovery.configure(self._settings, ())
        await self._readers.start()
        await self.fleet.start()
        lasting = [asyncio.ensure_future(one) for one in (self.discovery.run(self._apply), self._keep_checking(),
                   self._keep_measuring(), self._keep_pruning())]  # fmt: skip
        ends_at = _now() + self._duration_s
        while _now() < ends_at:
            await self._join()
            await asyncio.sleep(self._rng.expovariate(self._per_hour / 3600.0))
        await self._settle()
        for task in (*lasting, *self._tasks):
            task.cancel()
        ends = await asyncio.gather(*lasting, *self._tasks, return_exceptions=True)
        self.report.violations += [repr(end) for end in ends if isinstance(end, Exception)]
        await self.fleet.stop()
        await self._readers.close()
        for machine in list(self.world):
            await self.world.leave(machine)
        await self._journal.close()
        return self.report

    async def _join(self) -> None:
        machine = await self.world.join(self._rng.choice(SOURCES))
        self.report.joined += 1
        self._spawn(self._live(machine, self._rng.uniform(*STAY_S)))

    async def _live(self, machine: Machine, stay_s: float) -> None:
        """Send heartbeats, if the machine registers itself, until it leaves."""
        leaves_at = _now() + stay_s
        if self._rng.random() < PAUSED:
            self._spawn(self._pause(machine, stay_s - PAUSED_BEFORE_S))
        while _now() < leaves_at or self._is_settling:
            if machine.source == "nodes" and self._rng.random() < HEARD:
                self._beat(machine)
            is_silent = machine.source != "nodes" and not self._is_settling
            await asyncio.sleep(leaves_at - _now() if is_silent else HEARTBEAT_S)
        self._check_leaving(machine)
        self.report.left += 1
        await self.world.leave(machine)

    async def _pause(self, machine: Machine, after_s: float) -> None:
        """Pause the machine for a while; the pause is a row of the journal."""
        await asyncio.sleep(after_s)
        if not await self.fleet.act(machine.address, Action.PAUSE):
            return
        machine.is_paused = True
        self.report.paused += 1
        await asyncio.sleep(PAUSE_S)
        await self.fleet.act(machine.address, Action.RESUME)
        machine.is_paused, machine.listed_at = False, _now()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _beat(self, machine: Machine) -> None:
        try:
            self.discovery.register(machine.target)
        except NoRegistrationError:
            self._violate(f"{machine.address} cannot register")
        machine.listed_at = machine.listed_at or _now()

    async def _apply(self) -> None:
        before = {view.name for view in self._snapshot}
        await self.fleet.apply(LoadedConfig(self._settings, self.discovery.servers, workflows()))
        names = [one.name for one in self.discovery.servers]
        self._readers.alerts.set_discovered(names)
        if len(set(names)) < len(names):
            self._violate("a name is in the fleet twice")
        for name in before - set(names):
            self.report.removed += 1
            if name in self.world.machines and (self.world.machines[name].listed_at or _now()) < _now() - GRACE_S:
                self._violate(f"{name} was removed, but is present")
        self.world.forget(frozenset(names))

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            self._check_warmth()

    async def _keep_measuring(self) -> None:
        while not self._is_settling:
            await asyncio.sleep(max(CHECK_S, self._duration_s / SAMPLES))
            await self._readers.ask()
            rows = rows_of(self._file)
            self.report.samples.append(measured(_now(), len(self.world.machines), rows))

    async def _keep_pruning(self) -> None:
        """Prune as the daemon does."""
        while True:
            await asyncio.sleep(HOUR_S)
            names = frozenset(one.name for one in self.fleet.config.servers)
            await self._journal.file.prune(_now() - KEPT_S, self._settings.journal.max_transitions, names)

    def _check_warmth(self) -> None:
        """Check that every machine that has been listed for five minutes is warm."""
        for machine in self.world:
            if machine.listed_at is None or machine.is_paused:
                continue
            view = self._snapshot.get(machine.address)
            is_loaded = self._is_warm(machine)
            if is_loaded and machine.loaded_at is None and view is not None:
                machine.loaded_at = view.since
                self.report.warm_after_s.append(max(0.0, view.since - machine.listed_at))
            if not is_loaded and _now() - machine.listed_at > WARM_WITHIN_S:
                self._spawn(self._look_again(machine))

    def _is_warm(self, machine: Machine) -> bool:
        view = self._snapshot.get(machine.address)
        return view is not None and view.state is State.LOADED and machine.warm_ups > 0

    async def _look_again(self, machine: Machine) -> None:
        """Report a server that is still not warm: for a moment, its check may have been repeated."""
        await asyncio.sleep(RECHECK_S)
        if machine.is_present and not machine.is_paused and not self._is_warm(machine):
            view = self._snapshot.get(machine.address)
            state = "not in the fleet" if view is None else f"{view.state.value}/{view.reason.value}"
            self._violate(f"{machine.address} is {state} after {_now() - (machine.listed_at or 0.0):.0f} s")

    def _check_leaving(self, machine: Machine) -> None:
        if machine.warm_ups > 1:
            self._violate(f"{machine.address} was warmed {machine.warm_ups} times")

    async def _settle(self) -> None:
        for source in self._sources:
            source.is_calm = True
        self._is_settling = True
        await asyncio.sleep(1200.0 + SETTLE_S)
        listed = {one.address for one in self.world}
        known = {one.name for one in self.discovery.servers}
        for name in sorted(listed ^ known)[:10]:
            self._violate(f"{name} is {'missing' if name in listed else 'left over'} at the end")

    def _violate(self, what: str) -> None:
        self.report.violations.append(f"{_now():.0f} s: {what}")

    def _new_source(self, source: Source, _settings: Settings) -> TargetSource:
        if source.kind == "register":
            return Registrations(source.heartbeat_s)
        rng = Random(f"{source.name}/{self._rng.random()}")
        troubled = TroubledSource(source.name, self.world, rng, self.report.troubles)
        self._sources.append(troubled)
        return troubled

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def _settings() -> Settings:
    common = {"grace_s": GRACE_S, "cache_check": {"kind": "text"}, "group_label": "pool"}
    return Settings.model_validate({
        "discovery": [
            {"kind": "http", "name": "cloud", "url": "http://127.0.0.1:1/", **common},
            {"kind": "dns", "name": "dns", "host": "gpu.example.com", **common},
            {"kind": "register", "name": "nodes", "heartbeat_s": HEARTBEAT_S, **common},
        ],
        "timing": {"check_interval_s": 600, "http_timeout_s": 5},
        "limits": {"max_warming": 32, "max_warming_per_host": 4},
        "alerts": {
            "channels": {"inbox": {"webhook": "http://127.0.0.1:1/", "secret": "a secret that is never used"}},
            "rules": [{"name": "gone", "states": ["unreachable"], "for_s": 60, "to": ["inbox"]}],
        },
    })  # fmt: skip


def _now() -> float:
    return asyncio.get_running_loop().time()
