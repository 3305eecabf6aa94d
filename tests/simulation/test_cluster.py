"""A few simulated clusters, and the effects of a join and a leave."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from typing_extensions import override

from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.cluster.processes import Process, ProcessLoop
from campaigns.simulation.cluster.scenario import LEASE_S, NODES, cluster_scenario_of
from campaigns.simulation.cluster.simulation import ClusterSimulation
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import run_simulation
from campaigns.simulation.scenario import Scenario, drawn_settings
from campaigns.simulation.simulation import TAIL
from statemachine.cluster.membership import node_for
from statemachine.core.vocabulary import State
from statemachine.simulator.profiles import PROFILES
from tests.simulation.test_simulation import simulate

SERVERS = 24


@pytest.mark.campaign
@pytest.mark.timeout(240)
def test_simulation_of_two_clusters_has_no_violation() -> None:
    run = simulate("--cluster", "--seeds", "2", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("2 seeds, ")


@pytest.mark.campaign
@pytest.mark.timeout(240)
def test_simulation_of_one_cluster_repeats_its_trace() -> None:
    first, second = (simulate("--cluster", "--seed", "3", "--trace").stdout.splitlines() for _ in range(2))
    events = [line for line in first if line.startswith("    ")]
    assert len(events) > 500
    assert events == [line for line in second if line.startswith("    ")]


def _calm() -> Scenario:
    """Return a scenario whose servers stay loaded after their first warm-up."""
    scenario = cluster_scenario_of(1)
    plans = tuple(
        Plan(f"127.0.0.{1 + index % 4}", 8188 + index, PROFILES["cold"], ("cache_models",), 0.0)
        for index in range(SERVERS)
    )
    settings = drawn_settings(Random(1), plans)
    return Scenario(plans, settings, adverse_s=0.0, calm_s=0.0, actions_every_s=scenario.actions_every_s)


class CalmCluster(ClusterSimulation):
    """Let two nodes warm the fleet, then let the third join and one of the first two leave."""

    moved: tuple[set[str], set[str]] = (set(), set())

    def __init__(self, folder: Path) -> None:
        super().__init__(1, folder, (), keep=TAIL, scenario=_calm())
        self._faults.active = False

    @override
    async def _run_scenario(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        await self._join(*self.nodes[:2])
        await self._until_loaded()
        before, warm_ups = dict(self.engine.last_owner), self.warm_ups
        await self._join(self.nodes[2])
        joined = dict(self.engine.last_owner)
        await self._leave(self.nodes[0])
        left = dict(self.engine.last_owner)
        self.moved = _differences(before, joined), _differences(joined, left)
        await self._until_loaded()
        assert self.warm_ups == warm_ups

    async def _join(self, *nodes: SimNode) -> None:
        for node in nodes:
            node.start_daemon()
        await asyncio.sleep(4 * LEASE_S)

    async def _leave(self, node: SimNode) -> None:
        assert node.daemon is not None
        await node.daemon.leave()
        await asyncio.sleep(2.0)  # less than a lease: a leave takes effect at once

    async def _until_loaded(self) -> None:
        async with asyncio.timeout(3600.0):
            while any(ledger.state is not State.LOADED for ledger in self._ledgers()):  # noqa: ASYNC110
                await asyncio.sleep(1.0)


def _differences(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {server for server, node in after.items() if node != before[server]}


def test_node_joins_and_leaves_moves_only_its_share_without_warm_ups() -> None:
    simulations: list[CalmCluster] = []

    def make(folder: Path) -> CalmCluster:
        simulations.append(CalmCluster(folder))
        return simulations[0]

    result = run_simulation(ProcessLoop, make)
    assert result.violation is None, "\n".join(result.trace)
    assert result.warm_ups == SERVERS
    a, b, c = NODES
    names = list(simulations[0].engine.last_owner)
    assert simulations[0].moved[0] == {name for name in names if node_for(name, NODES) == c} != set()
    assert simulations[0].moved[1] == {name for name in names if node_for(name, NODES) == a} != set()
    assert set(simulations[0].engine.last_owner.values()) == {b, c}


def test_process_stopped_and_resumed_holds_its_callbacks() -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1.0)

    async def stop_and_resume() -> None:
        process = Process()
        process.create_task(tick())
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(5.0)
        process.resume()
        await asyncio.sleep(1.2)
        await process.kill()
        await asyncio.sleep(5.0)

    with asyncio.Runner(loop_factory=ProcessLoop) as runner:
        runner.run(stop_and_resume())
    assert ticks == [0.0, 1.0, 6.5, 7.5]
