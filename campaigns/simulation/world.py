"""One world: a scenario lived through in virtual time, from its first fault to a long calm, and what came of it."""

import asyncio
import gc
import sqlite3
import tempfile
import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from loguru import logger

from campaigns.simulation.actions import Actions
from campaigns.simulation.daemon import RIGHT, Parts, SimDaemon
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.loop import NothingToDoError, VirtualLoop
from campaigns.simulation.scenario import EXPECTED, Plan, Scenario, scenario_of
from campaigns.simulation.wire import Wire
from statemachine.core.clock import Clock
from statemachine.core.operator import Action
from statemachine.core.vocabulary import Reason, State
from statemachine.fleet.fleet import Fleet
from statemachine.simulator import SimServer

if TYPE_CHECKING:
    from loguru import Message

EPOCH = 1_767_225_600.0
TAIL = 150
POLL_S = 5.0
Line = tuple[float, str, tuple[object, ...]]


@dataclass
class Result:
    """What came of one seed. `trace` is the tail of what happened before the first violation, or all of it."""

    seed: int
    virtual_s: float
    faults: Counter[StrEnum]
    warm_ups: int
    violation: str | None
    trace: list[str] = field(default_factory=list)


def run_seed(seed: int, *, parts: Parts = RIGHT, without: Collection[StrEnum] = (), full_trace: bool = False) -> Result:
    """Live through the world of this seed. The same seed gives the same world, given the same PYTHONHASHSEED."""
    keep = None if full_trace else TAIL
    return run_world(VirtualLoop, lambda folder: SimWorld(seed, folder, parts, without, keep=keep))


def run_world(loop: Callable[[], VirtualLoop], make: Callable[[Path], "SimWorld"]) -> Result:
    """Live through the world that is made over a folder of its own."""
    with tempfile.TemporaryDirectory(dir=_quick_place()) as folder, asyncio.Runner(loop_factory=loop) as runner:
        world = make(Path(folder))
        with _loud_faults(world):
            try:
                runner.run(world.live())
            except NothingToDoError:
                world.accuse("-", "everything waits for ever")
        return world.result(runner.get_loop().time())


def _quick_place() -> str | None:
    shared_memory = Path("/dev/shm")
    return str(shared_memory) if shared_memory.is_dir() else None


@contextmanager
def _loud_faults(world: "SimWorld") -> Iterator[None]:
    """An exception that the daemon only logs is a violation."""

    def hear(message: "Message") -> None:
        if message.record["exception"] is not None:
            world.accuse("-", f"a fault of the daemon's own: {message}")

    logger.remove()
    sink = logger.add(hear, level="ERROR", format="{message}", backtrace=False, diagnose=False)
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        logger.remove(sink)
        if collecting:
            gc.enable()


class SimWorld:
    """Servers, wires, disk, clock and the daemon's lives."""

    def __init__(
        self, seed: int, folder: Path, parts: Parts, without: Collection[StrEnum], *, keep: int | None
    ) -> None:
        self.clock_offset = 0.0
        self.wires: dict[str, Wire] = {}
        self._seed, self._parts = seed, parts
        self._scenario: Scenario = scenario_of(seed)
        self._trace: deque[Line] = deque(maxlen=keep)
        self._faults = Faults(self._rng("faults"), without)
        self._invariants = Invariants(self._scenario.settings, self.accuse, self.note)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._crashes = self._rng("crashes")
        self._actions = Actions(self, self._faults, self._rng("deeds"), self._scenario.actions_every_s, self.note)
        self._tasks: set[asyncio.Task[None]] = set()
        self._daemon: SimDaemon | None = None
        self._violation: str | None = None
        self._broken: asyncio.Event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        chance, ids = self._rng("world"), self._rng("ids")
        self._world = Clock(
            now=self._now, uniform=chance.random, new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4))
        )

    def _rng(self, purpose: str) -> Random:
        return Random(f"{self._seed}/{purpose}")

    def _now(self) -> float:
        assert self._loop is not None
        return EPOCH + self._loop.time() + self.clock_offset

    @property
    def disks(self) -> Sequence[Disk]:
        """Every daemon's."""
        return [self.disk]

    def some_disk(self) -> Disk:
        """Any of them."""
        return self.disk

    @property
    def warm_ups(self) -> int:
        """How many were posted."""
        return self._invariants.warm_ups.total()

    def _ledgers(self) -> Iterable[ServerLedger]:
        """One for each server."""
        return self._invariants.ledgers.values()

    # What everybody may call

    def note(self, server: str, *what: object) -> None:
        """A line of the trace."""
        assert self._loop is not None
        if self._violation is None:
            self._trace.append((self._loop.time(), server, what))

    def accuse(self, server: str, what: str) -> None:
        """The first violation ends the world."""
        if self._violation is None:
            self.note(server, "VIOLATION", what)
            self._violation = f"{server}: {what}"
            self._broken.set()

    def act(self, name: str, action: str) -> None:
        """The operator."""
        self.note(name, "operator:", action)
        if self._daemon is not None and not self._daemon.dead:
            self.spawn(_act(self._daemon.fleet, name, Action(action)))

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Work of the network's own, which no daemon's death stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def crash(self, away_s: float) -> None:
        """Kill the daemon and start another one `away_s` later."""
        if self._daemon is None or self._daemon.dead:
            return
        self.note("-", "CRASH")
        await self._daemon.crash()
        await asyncio.sleep(away_s)
        self._start_daemon()

    async def next_submission(self) -> None:
        """Wait until a prompt is being written down or posted."""
        await self._invariants.submission.wait()

    # Its course

    async def live(self) -> None:
        """Until the end of the calm, or the first violation."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._unheard)
        course = asyncio.create_task(self._course())
        breaking = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait({course, breaking}, return_when=asyncio.FIRST_COMPLETED)
            if course.done():
                course.result()
        finally:
            await self._end(course, breaking)

    async def _end(self, *tasks: asyncio.Task[Any]) -> None:
        self._broken.set()
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

    async def _course(self) -> None:
        scenario = self._scenario
        for plan in scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        adversity = asyncio.create_task(self._actions.go_on())
        await asyncio.sleep(scenario.adverse_s)
        adversity.cancel()
        await asyncio.gather(adversity, return_exceptions=True)
        await self._quiet()
        await self._settle()
        await asyncio.sleep(scenario.calm_s)
        self._check_calm()

    async def _set_up(self, plan: Plan) -> None:
        server = SimServer(plan.persona, self._rng(plan.name), clock=lambda: EPOCH + asyncio.get_running_loop().time())
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
        self._daemon = SimDaemon(self._parts, settings, self._world, self.disk, self.wires, self._invariants)
        self._daemon.start()

    async def _quiet(self) -> None:
        """No more faults; what is down comes back."""
        self.note("-", "QUIET")
        self._faults.active = False
        await self._actions.undo()
        if self._daemon is None or self._daemon.dead:
            self._start_daemon()
            await asyncio.sleep(1.0)
        for name in self.wires:
            self.act(name, "resume")
        for ledger in self._invariants.ledgers.values():
            ledger.reached.clear()

    async def _settle(self) -> None:
        """Every server must come to what is true of it."""
        for _ in range(int(self._scenario.settled_within_s / POLL_S)):
            if not any(self._unsettled()):
                return
            await asyncio.sleep(POLL_S)
        for ledger in self._unsettled():
            self.accuse(
                ledger.plan.name, f"liveness: {ledger.state.value} for ever, instead of {set(ledger.plan.expected)}"
            )

    def _unsettled(self) -> Iterator[ServerLedger]:
        for ledger in self._ledgers():
            loaded = ledger.state is State.LOADED and Reason.ALL_CACHED in ledger.plan.expected
            if not (loaded or ledger.reached & ledger.plan.expected):
                yield ledger

    def _check_calm(self) -> None:
        for ledger in self._ledgers():
            must_load = ledger.plan.persona.name not in EXPECTED or loads_itself_well(ledger)
            if must_load and ledger.state is not State.LOADED:
                self.accuse(ledger.plan.name, f"liveness: {ledger.state.value} after a long calm, instead of loaded")

    def _unheard(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.accuse("-", f"unheard by anybody: {context['message']}: {context.get('exception')!r}")

    # What came of it

    def result(self, virtual_s: float) -> Result:
        """Once `live` has returned."""
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
        """Whatever was told stands in the file, under its number, and no number is left out."""
        with closing(sqlite3.connect(self.disk.path)) as file:
            rows = file.execute("SELECT seq, server, dest FROM log ORDER BY seq").fetchall()
        kept = {seq: (server, dest) for seq, server, dest in rows}
        if list(kept) != list(range(1, len(kept) + 1)):
            self.accuse("-", "rule 7: the log ids in the file have gaps")
        if not self._invariants.told.items() <= kept.items():
            self.accuse("-", "rule 7: an entry was told that is not in the file")


def loads_itself_well(ledger: ServerLedger) -> bool:
    """Whether this is a server that loads by itself, and has done so."""
    return ledger.plan.persona.text_check == "starts" and not ledger.wire.server.missing_keys()


async def _act(fleet: Fleet, name: str, action: Action) -> None:
    await fleet.act(name, action)
