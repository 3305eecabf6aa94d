"""Servers with the companion node in virtual time: with every fault, and an idle fleet.

These tests draw their own scenarios, so that the seeds of the other simulations do not change.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from typing_extensions import override

from campaigns.simulation.actions import Actions
from campaigns.simulation.daemon import REAL_PARTS
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Fault, Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.plans import BOTH, Plan
from campaigns.simulation.run import fail_on_logged_errors
from campaigns.simulation.scenario import Scenario, drawn_calm_s, drawn_settings, scenario_of
from campaigns.simulation.simulation import TAIL, Simulation
from statemachine.core.log_entry import Transition
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.simulator.profiles import PROFILES, Profile

SEEDS = range(10)
KINDS = (
    *(PROFILES[name] for name in ("node", "node", "node_starting", "node_starting", "auto_executing")),
    *(replace(PROFILES[name], companion=True) for name in ("loaded", "slow", "trapped", "raising", "stalling")),
    Profile("stock_complete", text_check="absent", inspire=False, companion=True),
)
IDLE_SERVERS = 20
HOUR_S = 3600.0
HOURS = 12


class NodeInvariants(Invariants):
    """Invariants that also count transitions and requests."""

    def __init__(self, scenario: Scenario, simulation: Simulation) -> None:
        super().__init__(scenario.settings, simulation.fail, simulation.note)
        self.transitions: Counter[tuple[Reason, Source]] = Counter()
        self.requests: Counter[str] = Counter()

    @override
    def transition(self, transition: Transition) -> None:
        self.transitions[transition.reason, transition.proved_by] += 1
        super().transition(transition)

    @override
    def request_left(self, name: str, method: str, path: str, body: bytes | None) -> int:
        self.requests[path.partition("?")[0]] += 1
        return super().request_left(name, method, path, body)


class NodeSimulation(Simulation):
    """The simulation of a seed with the servers of another scenario."""

    def __init__(self, seed: int, folder: Path, scenario: Scenario, without: tuple[Fault, ...] = ()) -> None:
        super().__init__(seed, folder, REAL_PARTS, without, keep=TAIL)
        self._scenario = scenario
        self._faults = Faults(self._rng("faults"), without)
        self._invariants: NodeInvariants = NodeInvariants(scenario, self)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._actions = Actions(self, self._faults, self._rng("actions"), scenario.actions_every_s, self.note)

    @property
    def invariants(self) -> NodeInvariants:
        return self._invariants


class IdleSimulation(NodeSimulation):
    """A simulation without faults that counts the requests of `HOURS` hours after the first one."""

    @override
    async def _run_scenario(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await asyncio.sleep(HOUR_S)
        self.invariants.requests.clear()
        self.invariants.transitions.clear()
        await asyncio.sleep(HOURS * HOUR_S)


def faulty_scenario(seed: int) -> Scenario:
    rng = Random(f"{seed}/node")
    plans = tuple(
        replace(plan, profile=replace(rng.choice(KINDS), load_seconds=plan.profile.load_seconds), workflows=BOTH[:1])
        for plan in scenario_of(seed).plans
    )
    plans = tuple(replace(plan, workflows=BOTH if _takes_both(plan, rng) else BOTH[:1]) for plan in plans)
    settings = drawn_settings(rng, plans)
    return replace(scenario_of(seed), plans=plans, settings=settings, calm_s=drawn_calm_s(rng, settings))


def _takes_both(plan: Plan, rng: Random) -> bool:
    return plan.profile.companion and rng.random() < 0.3


def idle_scenario() -> Scenario:
    plans = tuple(Plan("127.0.0.1", 8188 + one, replace(PROFILES["node"], loaded=True), BOTH[:1], 0.0)
                  for one in range(IDLE_SERVERS))  # fmt: skip
    settings = drawn_settings(Random(0), plans)
    timing = settings.timing.model_copy(update={"check_interval_s": 60.0})
    return Scenario(plans, settings.model_copy(update={"timing": timing}), 0.0, 0.0, 60.0)


def run(simulation: NodeSimulation, runner: asyncio.Runner) -> None:
    with fail_on_logged_errors(simulation):
        runner.run(simulation.run())
    result = simulation.result(runner.get_loop().time())
    assert result.violation is None, "\n".join([str(result.violation), *result.trace])


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_servers_with_the_companion_node_cause_no_violation(tmp_path: Path) -> None:
    transitions: Counter[tuple[Reason, Source]] = Counter()
    for seed in SEEDS:
        (folder := tmp_path / str(seed)).mkdir()
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            simulation = NodeSimulation(seed, folder, faulty_scenario(seed))
            run(simulation, runner)
        transitions += simulation.invariants.transitions
    print({f"{reason.value} by {proved_by.value}": count for (reason, proved_by), count in transitions.most_common()})
    assert transitions[Reason.CACHE_CHANGED, Source.WS] > 20
    assert transitions[Reason.SERVER_RESTARTED, Source.HISTORY] > 5


def test_idle_warm_fleet_gets_few_requests(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        simulation = IdleSimulation(1, tmp_path, idle_scenario(), tuple(Fault))
        run(simulation, runner)
    assert {ledger.state for ledger in simulation.invariants.ledgers.values()} == {State.LOADED}
    per_minute = simulation.invariants.requests.total() / (IDLE_SERVERS * HOURS * 60)
    print(f"requests per server and minute, idle: {per_minute:.3f} ({dict(simulation.invariants.requests)})")
    assert 0.05 < per_minute < 0.2
    assert not simulation.invariants.transitions
