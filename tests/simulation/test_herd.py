"""The daemon's own cable is cut: fifty servers fall silent at once, and nobody is to be paged or warmed for it.

The real fleet in virtual time, under the simulation's invariants. The brake is `statemachine/core/outage.py`.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typing_extensions import override

from campaigns.simulation.daemon import RIGHT
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.scenario import Plan, Scenario
from campaigns.simulation.wire import Wire
from campaigns.simulation.world import TAIL, SimWorld, _loud_faults
from statemachine.comfyui.transport import Reply
from statemachine.core.vocabulary import State
from statemachine.settings import Settings
from statemachine.simulator.profiles import PERSONAS

SERVERS, ON_A_HOST = 50, 4
CALM_S = 300.0
HOLD_S = 300.0
"""The brake's own bound."""
NOTICED_WITHIN_S = 60.0
LOADED_WITHIN_S = 120.0
CHECKS = ("/cache/check", "/inspire/cache/list", "/history?")

Course = Callable[["HerdWorld"], Coroutine[Any, Any, None]]
Cut = Callable[[Wire], None]


class CountingJudge(Invariants):
    """Remembers every check that was answered, and every state that any server came to, with its time."""

    def __init__(self, world: "HerdWorld", settings: Settings) -> None:
        super().__init__(settings, world.accuse, world.note)
        self.answered: list[tuple[float, str]] = []
        self.came_to: list[tuple[float, str, State]] = []

    @override
    def reply_delivered(self, name: str, path: str, reply: Reply, *, genuine: bool, ticket: int) -> None:
        if path.startswith(CHECKS):
            self.answered.append((asyncio.get_running_loop().time(), name))
        super().reply_delivered(name, path, reply, genuine=genuine, ticket=ticket)

    @override
    def transition(self, transition: Any) -> None:
        self.came_to.append((asyncio.get_running_loop().time(), transition.server, transition.dest))
        super().transition(transition)


class HerdWorld(SimWorld):
    """Fifty loaded servers on perfect wires; its course is a test's."""

    def __init__(self, seed: int, folder: Path, course: Course, timing: dict[str, float]) -> None:
        super().__init__(seed, folder, RIGHT, (), keep=TAIL)
        self._own_course = course
        plans = tuple(_plan(index) for index in range(SERVERS))
        settings = Settings.model_validate({
            "servers": [f"http://{plan.name}" for plan in plans],
            "workflows": ["cache_models"],
            "timing": timing,
        })  # fmt: skip
        self._scenario = Scenario(plans, settings, adverse_s=0.0, calm_s=0.0, actions_every_s=1.0)
        self._faults = Faults(Random(1))
        self._faults.active = False
        self.invariants = self._invariants = CountingJudge(self, settings)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self.invariants)

    @override
    async def _course(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await asyncio.sleep(CALM_S)
        assert self.states() == {State.LOADED: SERVERS}
        self.invariants.answered.clear()
        self.invariants.came_to.clear()
        await self._own_course(self)

    def states(self) -> Counter[State]:
        """How many servers are in each state."""
        return Counter(ledger.state for ledger in self.invariants.ledgers.values())

    def cut(self, how: Cut, wires: Sequence[Wire] | None = None) -> None:
        """Requests and dials time out from now on."""
        for wire in self.wires.values() if wires is None else wires:
            how(wire)

    def mend(self) -> None:
        """Everything gets through again."""
        for wire in self.wires.values():
            wire.outage = False

    def notices(self) -> list[str]:
        """As the journal has them."""
        with closing(sqlite3.connect(self.disk.path)) as file:
            return [reason for (reason,) in file.execute("SELECT reason FROM log WHERE kind = 'notice' ORDER BY seq")]

    async def until(self, holds: Callable[[], bool], within_s: float) -> float:
        """How long it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not holds():
            assert loop.time() - began < within_s, f"after {within_s:g} s: {self.states()}, {self.notices()}"
            await asyncio.sleep(0.5)
        return loop.time() - began

    def all_loaded(self) -> bool:
        """Whether every server is."""
        return self.states() == {State.LOADED: SERVERS}


def _plan(index: int) -> Plan:
    host = f"127.0.1.{1 + index // ON_A_HOST}"
    persona = replace(PERSONAS["loaded"], http_delay=0.0)
    return Plan(host, 8188 + index % ON_A_HOST, persona, ("cache_models",), 0.0)


def live(folder: Path, course: Course, seed: int = 1, **timing: float) -> HerdWorld:
    """The world after the course, in which no rule was broken and nothing was posted."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = HerdWorld(seed, folder, course, timing)
        with _loud_faults(world):
            runner.run(world.live())
        result = world.result(runner.get_loop().time())
    assert result.violation is None, "\n".join(result.trace)
    assert result.warm_ups == 0
    return world


def falls_silent(wire: Wire) -> None:
    """Open connections die unnoticed, until the keepalive finds out."""
    wire.begin_outage()


def closes(wire: Wire) -> None:
    """Open connections are seen to close."""
    wire.outage = True
    for pipe in wire._pipes:
        pipe.break_off()


both_ways = pytest.mark.parametrize("how", [falls_silent, closes])


@both_ways
def test_two_minutes_without_network_change_no_verdict(tmp_path: Path, how: Cut) -> None:
    async def course(world: HerdWorld) -> None:
        world.cut(how)
        await world.until(lambda: world.notices() == ["fleet_vanished"], NOTICED_WITHIN_S)
        await asyncio.sleep(120.0 - (asyncio.get_running_loop().time() - CALM_S))
        assert world.notices() == ["fleet_vanished"]
        world.mend()
        await world.until(world.all_loaded, LOADED_WITHIN_S)
        await asyncio.sleep(CALM_S)
        assert world.all_loaded()

    world = live(tmp_path, course)
    assert world.notices() == ["fleet_vanished", "fleet_back"]
    assert [name for _, name, dest in world.invariants.came_to if dest is State.UNREACHABLE] == []


@pytest.mark.parametrize("how", [closes, falls_silent])
def test_the_return_of_the_network_starts_no_storm(tmp_path: Path, how: Cut) -> None:
    """The interval is long, or its own checks would be counted. A connection that comes back, or is found dead, only
    after the first check is new evidence of change, and worth another check."""

    async def course(world: HerdWorld) -> None:
        world.cut(how)
        await asyncio.sleep(120.0)
        world.invariants.answered.clear()
        world.mend()
        await asyncio.sleep(30.0)
        checks = Counter(name for _, name in world.invariants.answered)
        assert max(checks.values()) <= 3
        assert checks.total() <= 2 * len(checks)
        await world.until(world.all_loaded, LOADED_WITHIN_S)

    live(tmp_path, course, check_interval_s=1800.0)


@both_ways
def test_a_hold_is_bounded(tmp_path: Path, how: Cut) -> None:
    async def course(world: HerdWorld) -> None:
        world.cut(how)
        await world.until(lambda: bool(world.notices()), NOTICED_WITHIN_S)
        await asyncio.sleep(HOLD_S - 5.0)
        assert world.states()[State.UNREACHABLE] == 0
        await world.until(lambda: world.states() == {State.UNREACHABLE: SERVERS}, 120.0)
        await asyncio.sleep(1200.0 - (asyncio.get_running_loop().time() - CALM_S))
        assert world.notices() == ["fleet_vanished", "fleet_back"]
        world.mend()
        await world.until(world.all_loaded, LOADED_WITHIN_S + 60.0)

    world = live(tmp_path, course)
    assert world.notices() == ["fleet_vanished", "fleet_back"]


@both_ways
def test_one_host_of_many_is_not_held(tmp_path: Path, how: Cut) -> None:
    async def course(world: HerdWorld) -> None:
        dead = list(world.wires.values())[8:12]
        world.cut(how, dead)
        await world.until(lambda: world.states()[State.UNREACHABLE] == ON_A_HOST, 240.0)
        assert {wire.name for wire in dead} == {
            name for name, ledger in world.invariants.ledgers.items() if ledger.state is State.UNREACHABLE
        }
        world.mend()
        await world.until(world.all_loaded, LOADED_WITHIN_S)

    assert live(tmp_path, course).notices() == []


@both_ways
@pytest.mark.parametrize("interval_s", [300.0, 1800.0])
@pytest.mark.parametrize("seed", range(1, 5))
def test_servers_that_are_seldom_asked_are_held_as_well(tmp_path: Path, how: Cut, interval_s: float, seed: int) -> None:
    """The first to be asked has failed three times before the second is asked at all."""

    async def course(world: HerdWorld) -> None:
        await asyncio.sleep(interval_s)
        world.cut(how)
        await asyncio.sleep(120.0)
        world.mend()
        await world.until(world.all_loaded, LOADED_WITHIN_S)

    world = live(tmp_path, course, seed, check_interval_s=interval_s)
    assert [(at, name) for at, name, dest in world.invariants.came_to if dest is State.UNREACHABLE] == []
