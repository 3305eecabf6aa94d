"""The daemon's own network fails: fifty servers stop answering at once, without any warm-up.

The real fleet in virtual time, with the invariants of the simulation. The detector is `statemachine/core/outage.py`.
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

from campaigns.simulation.daemon import REAL_PARTS
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import fail_on_logged_errors
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import TAIL, Simulation
from campaigns.simulation.wire import Wire
from statemachine.comfyui.transport import Reply
from statemachine.core.vocabulary import State
from statemachine.settings import Settings
from statemachine.simulator.profiles import PROFILES

SERVERS, ON_A_HOST = 50, 4
CALM_S = 300.0
HOLD_S = 300.0
"""The longest hold of the outage detector."""
NOTICED_WITHIN_S = 60.0
LOADED_WITHIN_S = 120.0
CHECKS = ("/cache/check", "/inspire/cache/list", "/history?")

Steps = Callable[["OutageSimulation"], Coroutine[Any, Any, None]]
Cut = Callable[[Wire], None]


class CountingInvariants(Invariants):
    """Invariants that also record the time of each check reply and each state change."""

    def __init__(self, simulation: "OutageSimulation", settings: Settings) -> None:
        super().__init__(settings, simulation.fail, simulation.note)
        self.check_replies: list[tuple[float, str]] = []
        self.state_changes: list[tuple[float, str, State]] = []

    @override
    def reply_delivered(self, name: str, path: str, reply: Reply, *, genuine: bool, ticket: int) -> None:
        if path.startswith(CHECKS):
            self.check_replies.append((asyncio.get_running_loop().time(), name))
        super().reply_delivered(name, path, reply, genuine=genuine, ticket=ticket)

    @override
    def transition(self, transition: Any) -> None:
        self.state_changes.append((asyncio.get_running_loop().time(), transition.server, transition.dest))
        super().transition(transition)


class OutageSimulation(Simulation):
    """Fifty loaded servers on perfect wires, with the steps of a test."""

    def __init__(self, seed: int, folder: Path, steps: Steps, timing: dict[str, float]) -> None:
        super().__init__(seed, folder, REAL_PARTS, (), keep=TAIL)
        self._steps = steps
        plans = tuple(_plan(index) for index in range(SERVERS))
        settings = Settings.model_validate({
            "servers": [f"http://{plan.name}" for plan in plans],
            "workflows": ["cache_models"],
            "timing": timing,
        })  # fmt: skip
        self._scenario = Scenario(plans, settings, adverse_s=0.0, calm_s=0.0, actions_every_s=1.0)
        self._faults = Faults(Random(1))
        self._faults.active = False
        self.invariants = self._invariants = CountingInvariants(self, settings)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self.invariants)

    @override
    async def _run_scenario(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await asyncio.sleep(CALM_S)
        assert self.states() == {State.LOADED: SERVERS}
        self.invariants.check_replies.clear()
        self.invariants.state_changes.clear()
        await self._steps(self)

    def states(self) -> Counter[State]:
        """Return the number of servers in each state."""
        return Counter(ledger.state for ledger in self.invariants.ledgers.values())

    def cut(self, how: Cut, wires: Sequence[Wire] | None = None) -> None:
        """Cut the wires: requests and new connections time out."""
        for wire in self.wires.values() if wires is None else wires:
            how(wire)

    def mend(self) -> None:
        """Restore all wires."""
        for wire in self.wires.values():
            wire.outage = False

    def notices(self) -> list[str]:
        """Return the reasons of all notices in the journal."""
        with closing(sqlite3.connect(self.disk.path)) as file:
            return [reason for (reason,) in file.execute("SELECT reason FROM log WHERE kind = 'notice' ORDER BY seq")]

    async def until(self, holds: Callable[[], bool], within_s: float) -> float:
        """Wait until `holds` is true; return the seconds that it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not holds():
            assert loop.time() - began < within_s, f"after {within_s:g} s: {self.states()}, {self.notices()}"
            await asyncio.sleep(0.5)
        return loop.time() - began

    def all_loaded(self) -> bool:
        """Return whether every server is loaded."""
        return self.states() == {State.LOADED: SERVERS}


def _plan(index: int) -> Plan:
    host = f"127.0.1.{1 + index // ON_A_HOST}"
    profile = replace(PROFILES["loaded"], http_delay=0.0)
    return Plan(host, 8188 + index % ON_A_HOST, profile, ("cache_models",), 0.0)


def run(folder: Path, steps: Steps, seed: int = 1, **timing: float) -> OutageSimulation:
    """Run the steps; fail on a violation or a warm-up; return the simulation."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        simulation = OutageSimulation(seed, folder, steps, timing)
        with fail_on_logged_errors(simulation):
            runner.run(simulation.run())
        result = simulation.result(runner.get_loop().time())
    assert result.violation is None, "\n".join(result.trace)
    assert result.warm_ups == 0
    return simulation


def cut_silently(wire: Wire) -> None:
    """Cut the wire; the keepalive detects the dead connections later."""
    wire.begin_outage()


def cut_and_close(wire: Wire) -> None:
    """Cut the wire and close its open connections."""
    wire.outage = True
    for pipe in wire._pipes:
        pipe.break_connection()


both_ways = pytest.mark.parametrize("how", [cut_silently, cut_and_close])


@both_ways
def test_network_outage_of_two_minutes_changes_no_state(tmp_path: Path, how: Cut) -> None:
    async def steps(simulation: OutageSimulation) -> None:
        simulation.cut(how)
        await simulation.until(lambda: simulation.notices() == ["fleet_vanished"], NOTICED_WITHIN_S)
        await asyncio.sleep(120.0 - (asyncio.get_running_loop().time() - CALM_S))
        assert simulation.notices() == ["fleet_vanished"]
        simulation.mend()
        await simulation.until(simulation.all_loaded, LOADED_WITHIN_S)
        await asyncio.sleep(CALM_S)
        assert simulation.all_loaded()

    simulation = run(tmp_path, steps)
    assert simulation.notices() == ["fleet_vanished", "fleet_back"]
    assert [name for _, name, dest in simulation.invariants.state_changes if dest is State.UNREACHABLE] == []


@pytest.mark.parametrize("how", [cut_and_close, cut_silently])
def test_network_return_causes_few_checks_per_server(tmp_path: Path, how: Cut) -> None:
    """A connection that opens or breaks after the first check is a change and causes another check.

    The long interval keeps periodic checks out of the count.
    """

    async def steps(simulation: OutageSimulation) -> None:
        simulation.cut(how)
        await asyncio.sleep(120.0)
        simulation.invariants.check_replies.clear()
        simulation.mend()
        await asyncio.sleep(30.0)
        checks = Counter(name for _, name in simulation.invariants.check_replies)
        assert max(checks.values()) <= 3
        assert checks.total() <= 2 * len(checks)
        await simulation.until(simulation.all_loaded, LOADED_WITHIN_S)

    run(tmp_path, steps, check_interval_s=1800.0)


@both_ways
def test_network_outage_beyond_the_hold_marks_servers_unreachable(tmp_path: Path, how: Cut) -> None:
    async def steps(simulation: OutageSimulation) -> None:
        simulation.cut(how)
        await simulation.until(lambda: bool(simulation.notices()), NOTICED_WITHIN_S)
        await asyncio.sleep(HOLD_S - 5.0)
        assert simulation.states()[State.UNREACHABLE] == 0
        await simulation.until(lambda: simulation.states() == {State.UNREACHABLE: SERVERS}, 120.0)
        await asyncio.sleep(1200.0 - (asyncio.get_running_loop().time() - CALM_S))
        assert simulation.notices() == ["fleet_vanished", "fleet_back"]
        simulation.mend()
        await simulation.until(simulation.all_loaded, LOADED_WITHIN_S + 60.0)

    simulation = run(tmp_path, steps)
    assert simulation.notices() == ["fleet_vanished", "fleet_back"]


@both_ways
def test_network_outage_of_one_host_is_not_held(tmp_path: Path, how: Cut) -> None:
    async def steps(simulation: OutageSimulation) -> None:
        dead = list(simulation.wires.values())[8:12]
        simulation.cut(how, dead)
        await simulation.until(lambda: simulation.states()[State.UNREACHABLE] == ON_A_HOST, 240.0)
        assert {wire.name for wire in dead} == {
            name for name, ledger in simulation.invariants.ledgers.items() if ledger.state is State.UNREACHABLE
        }
        simulation.mend()
        await simulation.until(simulation.all_loaded, LOADED_WITHIN_S)

    assert run(tmp_path, steps).notices() == []


@both_ways
@pytest.mark.parametrize("interval_s", [300.0, 1800.0])
@pytest.mark.parametrize("seed", range(1, 5))
def test_network_outage_with_rare_checks_changes_no_state(
    tmp_path: Path, how: Cut, interval_s: float, seed: int
) -> None:
    """With a long interval the first server fails three times before the second is checked."""

    async def steps(simulation: OutageSimulation) -> None:
        await asyncio.sleep(interval_s)
        simulation.cut(how)
        await asyncio.sleep(120.0)
        simulation.mend()
        await simulation.until(simulation.all_loaded, LOADED_WITHIN_S)

    simulation = run(tmp_path, steps, seed, check_interval_s=interval_s)
    assert [(at, name) for at, name, dest in simulation.invariants.state_changes if dest is State.UNREACHABLE] == []
