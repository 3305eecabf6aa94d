"""Servers with the companion node, in virtual time: under every adversity, and a fleet at rest.

They have worlds of their own, so that the seeds of the others keep what they drew.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from typing_extensions import override

from campaigns.simulation.actions import Actions
from campaigns.simulation.daemon import RIGHT
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Fault, Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.scenario import BOTH, Plan, Scenario, _calm_s, drawn_settings, scenario_of
from campaigns.simulation.world import TAIL, SimWorld, _loud_faults
from statemachine.core.log_entry import Transition
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.simulator.profiles import PERSONAS, Persona

SEEDS = range(20)
KINDS = (
    *(PERSONAS[name] for name in ("node", "node", "node_starting", "node_starting", "auto_executing")),
    *(replace(PERSONAS[name], companion=True) for name in ("loaded", "slow", "trapped", "raising", "stalling")),
    Persona("stock_complete", text_check="absent", inspire=False, companion=True),
)
RESTING = 20
HOUR_S = 3600.0
HOURS = 12


class NodeInvariants(Invariants):
    """Counts what is of interest here."""

    def __init__(self, scenario: Scenario, world: SimWorld) -> None:
        super().__init__(scenario.settings, world.accuse, world.note)
        self.led: Counter[tuple[Reason, Source]] = Counter()
        self.asked: Counter[str] = Counter()

    @override
    def transition(self, transition: Transition) -> None:
        self.led[transition.reason, transition.witness] += 1
        super().transition(transition)

    @override
    def request_left(self, name: str, method: str, path: str, body: bytes | None) -> int:
        self.asked[path.partition("?")[0]] += 1
        return super().request_left(name, method, path, body)


class NodeWorld(SimWorld):
    """The world of a seed, its servers exchanged for those of a scenario."""

    def __init__(self, seed: int, folder: Path, scenario: Scenario, without: tuple[Fault, ...] = ()) -> None:
        super().__init__(seed, folder, RIGHT, without, keep=TAIL)
        self._scenario = scenario
        self._faults = Faults(self._rng("faults"), without)
        self._invariants: NodeInvariants = NodeInvariants(scenario, self)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._actions = Actions(self, self._faults, self._rng("deeds"), scenario.actions_every_s, self.note)

    @property
    def invariants(self) -> NodeInvariants:
        return self._invariants


class RestingWorld(NodeWorld):
    """Nothing happens. What is asked in `HOURS` after the first hour is counted."""

    @override
    async def _course(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await asyncio.sleep(HOUR_S)
        self.invariants.asked.clear()
        self.invariants.led.clear()
        await asyncio.sleep(HOURS * HOUR_S)


def adverse(seed: int) -> Scenario:
    rng = Random(f"{seed}/node")
    plans = tuple(
        replace(plan, persona=replace(rng.choice(KINDS), load_seconds=plan.persona.load_seconds), workflows=BOTH[:1])
        for plan in scenario_of(seed).plans
    )
    plans = tuple(replace(plan, workflows=BOTH if _takes_both(plan, rng) else BOTH[:1]) for plan in plans)
    settings = drawn_settings(rng, plans)
    return replace(scenario_of(seed), plans=plans, settings=settings, calm_s=_calm_s(rng, settings))


def _takes_both(plan: Plan, rng: Random) -> bool:
    return plan.persona.companion and rng.random() < 0.3


def at_rest() -> Scenario:
    plans = tuple(Plan("127.0.0.1", 8188 + one, replace(PERSONAS["node"], loaded=True), BOTH[:1], 0.0)
                  for one in range(RESTING))  # fmt: skip
    settings = drawn_settings(Random(0), plans)
    timing = settings.timing.model_copy(update={"check_interval_s": 60.0})
    return Scenario(plans, settings.model_copy(update={"timing": timing}), 0.0, 0.0, 60.0)


def live(world: NodeWorld, runner: asyncio.Runner) -> None:
    with _loud_faults(world):
        runner.run(world.live())
    result = world.result(runner.get_loop().time())
    assert result.violation is None, "\n".join([str(result.violation), *result.trace])


@pytest.mark.timeout(300)
def test_servers_with_the_node_keep_every_rule(tmp_path: Path) -> None:
    led: Counter[tuple[Reason, Source]] = Counter()
    for seed in SEEDS:
        (folder := tmp_path / str(seed)).mkdir()
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            world = NodeWorld(seed, folder, adverse(seed))
            live(world, runner)
        led += world.invariants.led
    print({f"{reason.value} by {witness.value}": count for (reason, witness), count in led.most_common()})
    assert led[Reason.CACHE_CHANGED, Source.WS] > 50
    assert led[Reason.SERVER_RESTARTED, Source.HISTORY] > 5


def test_a_warm_fleet_at_rest_is_hardly_asked(tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = RestingWorld(1, tmp_path, at_rest(), tuple(Fault))
        live(world, runner)
    assert {ledger.state for ledger in world.invariants.ledgers.values()} == {State.LOADED}
    a_minute = world.invariants.asked.total() / (RESTING * HOURS * 60)
    print(f"requests a server a minute, at rest: {a_minute:.3f} ({dict(world.invariants.asked)})")
    assert 0.05 < a_minute < 0.2
    assert not world.invariants.led
