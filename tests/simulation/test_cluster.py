"""A few clusters, whether faults planted in their nodes are caught, and what a node that comes or goes may move."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from typing_extensions import override

from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.cluster.planted_faults import PLANTED_FAULTS
from campaigns.simulation.cluster.processes import Process, ProcessLoop
from campaigns.simulation.cluster.scenario import LEASE_S, NODES, cluster_scenario_of
from campaigns.simulation.cluster.world import ClusterWorld
from campaigns.simulation.scenario import Plan, Scenario, drawn_settings
from campaigns.simulation.world import TAIL, run_world
from statemachine.cluster.rendezvous import chosen
from statemachine.core.vocabulary import State
from statemachine.simulator.profiles import PERSONAS
from tests.simulation.test_simulation import simulate

SERVERS = 24


@pytest.mark.timeout(240)
def test_no_rule_is_broken_in_a_few_clusters() -> None:
    run = simulate("--cluster", "--seeds", "24", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("24 seeds, ")


def test_a_cluster_is_lived_through_again_exactly() -> None:
    first, second = (simulate("--cluster", "--seed", "3", "--trace").stdout.splitlines() for _ in range(2))
    events = [line for line in first if line.startswith("    ")]
    assert len(events) > 500
    assert events == [line for line in second if line.startswith("    ")]


@pytest.mark.timeout(240)
def test_simulation_of_faults_planted_in_nodes_catches_each() -> None:
    run = simulate("--cluster", "--planted-faults", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(": caught in seed ") == len(PLANTED_FAULTS)


def _peaceful() -> Scenario:
    """Servers that are loaded once they were warmed, and stay so."""
    scenario = cluster_scenario_of(1)
    plans = tuple(
        Plan(f"127.0.0.{1 + index % 4}", 8188 + index, PERSONAS["cold"], ("cache_models",), 0.0)
        for index in range(SERVERS)
    )
    settings = drawn_settings(Random(1), plans)
    return Scenario(plans, settings, adverse_s=0.0, calm_s=0.0, actions_every_s=scenario.actions_every_s)


class PeacefulWorld(ClusterWorld):
    """Two nodes warm the fleet; then the third joins, and at last one of the first two leaves."""

    moved: tuple[set[str], set[str]] = (set(), set())

    def __init__(self, folder: Path) -> None:
        super().__init__(1, folder, (), keep=TAIL, scenario=_peaceful())
        self._faults.active = False

    @override
    async def _course(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        await self._have_join(*self.nodes[:2])
        await self._until_loaded()
        before, warm_ups = dict(self.engine.last_owner), self.warm_ups
        await self._have_join(self.nodes[2])
        joined = dict(self.engine.last_owner)
        await self._have_leave(self.nodes[0])
        left = dict(self.engine.last_owner)
        self.moved = _differences(before, joined), _differences(joined, left)
        await self._until_loaded()
        assert self.warm_ups == warm_ups

    async def _have_join(self, *nodes: SimNode) -> None:
        for node in nodes:
            node.start_daemon()
        await asyncio.sleep(4 * LEASE_S)

    async def _have_leave(self, node: SimNode) -> None:
        assert node.daemon is not None
        await node.daemon.leave()
        await asyncio.sleep(2.0)  # less than a lease: it need not be waited for

    async def _until_loaded(self) -> None:
        async with asyncio.timeout(3600.0):
            while any(ledger.state is not State.LOADED for ledger in self._ledgers()):  # noqa: ASYNC110
                await asyncio.sleep(1.0)


def _differences(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {server for server, node in after.items() if node != before[server]}


def test_a_node_that_joins_or_leaves_moves_its_share_and_nothing_is_warmed_again() -> None:
    worlds: list[PeacefulWorld] = []

    def make(folder: Path) -> PeacefulWorld:
        worlds.append(PeacefulWorld(folder))
        return worlds[0]

    result = run_world(ProcessLoop, make)
    assert result.violation is None, "\n".join(result.trace)
    assert result.warm_ups == SERVERS
    a, b, c = NODES
    names = list(worlds[0].engine.last_owner)
    assert worlds[0].moved[0] == {name for name in names if chosen(name, NODES) == c} != set()
    assert worlds[0].moved[1] == {name for name in names if chosen(name, NODES) == a} != set()
    assert set(worlds[0].engine.last_owner.values()) == {b, c}


def test_a_stopped_process_stands_still_while_time_goes_on() -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1.0)

    async def live() -> None:
        process = Process()
        process.begin(tick())
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(5.0)
        process.go_on()
        await asyncio.sleep(1.2)
        await process.kill()
        await asyncio.sleep(5.0)

    with asyncio.Runner(loop_factory=ProcessLoop) as runner:
        runner.run(live())
    assert ticks == [0.0, 1.0, 6.5, 7.5]
