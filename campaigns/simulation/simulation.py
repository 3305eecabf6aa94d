"""One run of a scenario in virtual time: faults, then a calm period, and the result."""

import asyncio
import sqlite3
import uuid
from collections import Counter, deque
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from campaigns.simulation.actions import Actions
from campaigns.simulation.daemon import Parts, SimDaemon
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.lasting_rules import LastingRules
from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.plans import Plan
from campaigns.simulation.scenario import FirstServer, Scenario, scenario_of
from campaigns.simulation.wire import Wire
from statemachine.core.ports import Action, ActionRefusedError, Clock, NotStoredError
from statemachine.core.vocabulary import Reason, State
from statemachine.fleet.fleet import ManagedFleet
from statemachine.repair.port import HookRunner, NoHooks
from statemachine.simulator import SimServer

EPOCH = 1_767_225_600.0
TAIL = 150
POLL_S, CALM_POLL_S = 5.0, 20.0
Line = tuple[float, str, tuple[object, ...]]


@dataclass
class Result:
    """The result of one seed. `trace` has the last events before the first violation, or all events."""

    seed: int
    virtual_s: float
    faults: Counter[StrEnum]
    warm_ups: int
    violation: str | None
    trace: list[str] = field(default_factory=list)


class Simulation:
    """Servers, wires, disk, clock and the daemon of one run."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        parts: Parts,
        without: Collection[StrEnum],
        *,
        keep: int | None,
        first: FirstServer | None = None,
    ) -> None:
        self.clock_offset = 0.0
        self.wires: dict[str, Wire] = {}
        self._seed, self._parts = seed, parts
        self._scenario: Scenario = scenario_of(seed, first)
        self._trace: deque[Line] = deque(maxlen=keep)
        self._faults = Faults(self._rng("faults"), without)
        self._invariants = Invariants(self._scenario.settings, self.fail, self.note)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._crashes = self._rng("crashes")
        # The name seeds the stream: with another one the seeds of known violations would change.
        self._actions = Actions(self, self._faults, self._rng("actions"), self._scenario.actions_every_s, self.note)
        self._tasks: set[asyncio.Task[None]] = set()
        self._daemon: SimDaemon | None = None
        self._violation: str | None = None
        self._violated: asyncio.Event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        chance, ids = self._rng("world"), self._rng("ids")
        self._clock = Clock(
            now=self._now, uniform=chance.random, new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4))
        )

    def _rng(self, purpose: str) -> Random:
        return Random(f"{self._seed}/{purpose}")

    def _now(self) -> float:
        assert self._loop is not None
        return EPOCH + self._loop.time() + self.clock_offset

    @property
    def disks(self) -> Sequence[Disk]:
        """The disk of each daemon."""
        return [self.disk]

    def some_disk(self) -> Disk:
        """Return a random disk."""
        return self.disk

    @property
    def warm_ups(self) -> int:
        """Number of posted warm-ups."""
        return self._invariants.warm_ups.total()

    def _ledgers(self) -> Iterable[ServerLedger]:
        """Return one ledger per server."""
        return self._invariants.ledgers.values()

    # Called by invariants and actions

    def note(self, server: str, *what: object) -> None:
        """Add an event to the trace."""
        assert self._loop is not None
        if self._violation is None:
            self._trace.append((self._loop.time(), server, what))

    def fail(self, server: str, what: str) -> None:
        """Record a violation; the first one ends the run."""
        if self._violation is None:
            self.note(server, "VIOLATION", what)
            self._violation = f"{server}: {what}"
            self._violated.set()

    def act(self, name: str, action: str) -> None:
        """Act as an operator on a server."""
        self.note(name, "operator:", action)
        if action == "warm":
            self._invariants.ledgers[name].forget_failures()
        if self._daemon is not None and not self._daemon.dead:
            self.spawn(_act(self._daemon.fleet, name, Action(action)))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that continues when the daemon crashes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def crash(self, away_s: float) -> None:
        """Kill the daemon and start another one `away_s` seconds later."""
        if self._daemon is None or self._daemon.dead:
            return
        self.note("-", "CRASH")
        await self._daemon.crash()
        await asyncio.sleep(away_s)
        self._start_daemon()

    async def next_submission(self) -> None:
        """Wait until a prompt is being stored or posted."""
        await self._invariants.submission.wait()

    # The run

    async def run(self) -> None:
        """Run the scenario to its end or to the first violation."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_loop_error)
        scenario = asyncio.create_task(self._run_scenario())
        violation = asyncio.create_task(self._violated.wait())
        try:
            await asyncio.wait({scenario, violation}, return_when=asyncio.FIRST_COMPLETED)
            if scenario.done():
                scenario.result()
        finally:
            await self._clean_up(scenario, violation)

    async def _clean_up(self, *tasks: asyncio.Task[Any]) -> None:
        self._violated.set()
        for task in (*tasks, *self._tasks):
            task.cancel()
        await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
        await self._actions.undo()
        await self._stop_daemons()
        for wire in self.wires.values():
            await wire.server.stop()

    async def _stop_daemons(self) -> None:
        if self._daemon is not None:
            await self._daemon.crash()

    async def _run_scenario(self) -> None:
        scenario = self._scenario
        for plan in scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        self.spawn(self._check_lasting_rules(lasting := LastingRules(scenario.settings, self.fail)))
        actions = asyncio.create_task(self._actions.run())
        await asyncio.sleep(scenario.adverse_s)
        actions.cancel()
        await asyncio.gather(actions, return_exceptions=True)
        await self._stop_faults()
        await self._settle()
        await asyncio.sleep(scenario.calm_s)
        await self._end_calm()
        self._check_calm(lasting)

    async def _set_up(self, plan: Plan) -> None:
        server = SimServer(plan.profile, self._rng(plan.name), clock=lambda: EPOCH + asyncio.get_running_loop().time())
        wire = Wire(
            plan.name,
            server,
            self._faults,
            self._rng(f"wire/{plan.name}"),
            self._invariants,
            self.spawn,
            quality=plan.quality,
            timeout_s=self._scenario.settings.timing.http_timeout_s,
        )
        self.wires[plan.name] = wire
        self._invariants.ledgers[plan.name] = ServerLedger(plan, wire)
        await server.start()

    def _start_daemon(self) -> None:
        self.note("-", "a daemon starts")
        settings = self._scenario.settings
        self._daemon = SimDaemon(
            self._parts, settings, self._clock, self.disk, self.wires, self._invariants, self._hooks
        )
        self._daemon.start()

    def _hooks(self, _: SimDaemon) -> HookRunner:
        """Return what runs the restart hooks of a daemon."""
        return NoHooks()

    async def _stop_faults(self) -> None:
        """Stop all faults and start what is down."""
        self.note("-", "FAULTS END")
        self._faults.active = False
        await self._actions.undo()
        if self._daemon is None or self._daemon.dead:
            self._start_daemon()
            await asyncio.sleep(1.0)
        for name in self.wires:
            self.act(name, "resume")
        for ledger in self._invariants.ledgers.values():
            ledger.calm_from(asyncio.get_running_loop().time(), self._invariants.warm_ups[ledger.plan.name])

    async def _check_lasting_rules(self, lasting: LastingRules) -> None:
        while True:
            await asyncio.sleep(POLL_S if self._faults.active else CALM_POLL_S)
            for ledger in self._ledgers():
                lasting.check(ledger, calm=not self._faults.active)

    async def _settle(self) -> None:
        """Wait until every server has reached an expected state; fail after the time limit."""
        for _ in range(int(self._scenario.settled_within_s / POLL_S)):
            if not any(self._unsettled()):
                return
            await asyncio.sleep(POLL_S)
        for ledger in self._unsettled():
            expected = " or ".join(sorted(reason.value for reason in ledger.plan.expected))
            self.fail(ledger.plan.name, f"liveness: stays {ledger.state.value}, expected {expected}")

    def _unsettled(self) -> Iterator[ServerLedger]:
        for ledger in self._ledgers():
            loaded = ledger.state is State.LOADED and Reason.ALL_CACHED in ledger.plan.expected
            if not (loaded or ledger.reached & ledger.plan.expected):
                yield ledger

    async def _end_calm(self) -> None:
        """End what may change a server without a fault."""

    def _check_calm(self, lasting: LastingRules) -> None:
        for ledger in self._ledgers():
            if ledger.plan.profile.evict_every and Reason.STILL_COLD_AFTER_SUCCESS in ledger.reached:
                self.fail(ledger.plan.name, "contention: an eviction was taken for a warm-up without effect")
            if not is_as_expected(ledger):
                self.fail(ledger.plan.name, f"liveness: {ledger.state.value} after the calm period, expected loaded")
            lasting.check_calm(ledger, self._invariants.warm_ups[ledger.plan.name])

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fail("-", f"unhandled exception: {context['message']}: {context.get('exception')!r}")

    # The result

    def result(self, virtual_s: float) -> Result:
        """Check the journal and return the result, after `run`."""
        if self._violation is None:
            self._check_journal()
        trace = [f"{at:11.3f}  {server:15} {' '.join(map(str, what))}" for at, server, what in self._trace]
        return Result(
            self._seed,
            virtual_s,
            self._faults.counts,
            self.warm_ups,
            self._violation,
            trace,
        )

    def _check_journal(self) -> None:
        """Check that the file has every published entry under its number, without gaps."""
        with closing(sqlite3.connect(self.disk.path)) as file:
            rows = file.execute("SELECT seq, server, dest FROM log ORDER BY seq").fetchall()
        kept = {seq: (server, dest) for seq, server, dest in rows}
        if list(kept) != list(range(1, len(kept) + 1)):
            self.fail("-", "log ids: the file has gaps")
        if not self._invariants.published.items() <= kept.items():
            self.fail("-", "log ids: a published entry is not in the file")


def is_as_expected(ledger: ServerLedger) -> bool:
    """Return whether this server is loaded, if it must be without faults."""
    stays = ledger.plan.stays_loaded and not ledger.plan.profile.unload_every
    return ledger.state is State.LOADED or not (stays or loads_itself_well(ledger))


def loads_itself_well(ledger: ServerLedger) -> bool:
    """Return whether this server loads by itself and has finished."""
    return ledger.plan.profile.text_check == "starts" and not ledger.wire.server.missing_keys()


async def _act(fleet: ManagedFleet, name: str, action: Action) -> None:
    """Act, and leave it at that if the daemon refuses: the server is paused, or the disk is full."""
    with suppress(ActionRefusedError, NotStoredError):
        await fleet.act(name, action)
