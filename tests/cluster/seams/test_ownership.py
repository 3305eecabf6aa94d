"""Who looks after which server: one daemon after all of them, or nodes after their shares."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from statemachine.core.ownership import Ownership
from statemachine.fleet.sole_owner import SoleOwner
from tests.cluster.nodes import FakeHands, Node, engine, running, settled
from tests.cluster.virtual import in_virtual_time

SERVERS = tuple(f"s{number}" for number in range(30))


@dataclass
class Stage:
    """Daemons with their hands. `share` gives all of them these servers, laying down what is no more among them."""

    daemons: list[tuple[Ownership, FakeHands]]

    async def set_servers(self, *servers: str) -> None:
        await self.share_at_once(servers)
        await settled()

    async def share_at_once(self, servers: tuple[str, ...]) -> None:
        """As a fleet does that is given other settings."""
        for ownership, hands in self.daemons:
            hands.servers = servers
            await hands.release(hands.up - set(servers))
            await ownership.set_servers(list(servers), hands)

    def owners(self, server: str) -> int:
        return sum(ownership.owns(server) for ownership, _ in self.daemons)


@asynccontextmanager
async def alone(_: Path) -> AsyncIterator[Stage]:
    yield Stage([(SoleOwner(), FakeHands())])


@asynccontextmanager
async def three_nodes(folder: Path) -> AsyncIterator[Stage]:
    shared = engine()
    nodes = [Node(shared, name, folder, ()) for name in ("one", "two", "three")]
    async with running(*nodes):
        yield Stage([(node.node.ownership, node.hands) for node in nodes])


@pytest.fixture(params=[alone, three_nodes])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Stage]:
    make: Callable[[Path], AbstractAsyncContextManager[Stage]] = request.param
    return make(tmp_path)


@in_virtual_time
async def test_every_server_is_in_exactly_one_pair_of_hands(stage: Stage) -> None:
    await stage.set_servers(*SERVERS)
    assert sorted(name for _, hands in stage.daemons for name in hands.up) == sorted(SERVERS)
    for ownership, hands in stage.daemons:
        for name in SERVERS:
            assert ownership.owns(name) == ownership.may_submit(name) == (name in hands.up)


@in_virtual_time
async def test_what_is_not_in_the_fleet_is_nobodys(stage: Stage) -> None:
    await stage.set_servers("s1")
    assert stage.owners("s2") == 0
    assert not any(ownership.may_submit("s2") for ownership, _ in stage.daemons)


@in_virtual_time
async def test_servers_that_come_are_taken_up_and_those_that_stay_are_left_alone(stage: Stage) -> None:
    await stage.set_servers(*SERVERS[:10])
    for _, hands in stage.daemons:
        hands.happened.clear()
    await stage.set_servers(*SERVERS)
    assert sum(len(hands.up) for _, hands in stage.daemons) == len(SERVERS)
    happened = [one for _, hands in stage.daemons for one in hands.happened]
    assert {server for _, what, server in happened if what == "up"} == set(SERVERS[10:])
    assert not [one for one in happened if one[2] in SERVERS[:10]]


@in_virtual_time
async def test_servers_that_go_are_nobodys_and_may_come_again(stage: Stage) -> None:
    await stage.set_servers(*SERVERS)
    await stage.set_servers(*SERVERS[:10])
    assert [stage.owners(name) for name in SERVERS] == [1] * 10 + [0] * 20
    await stage.set_servers(*SERVERS)
    assert [stage.owners(name) for name in SERVERS] == [1] * 30
    assert sum(len(hands.up) for _, hands in stage.daemons) == len(SERVERS)


@in_virtual_time
async def test_changes_that_follow_each_other_at_once(stage: Stage) -> None:
    for servers in (SERVERS[:20], SERVERS[10:], SERVERS[5:15], SERVERS):
        await stage.share_at_once(servers)
        await asyncio.sleep(0.003)
    await settled()
    assert sorted(name for _, hands in stage.daemons for name in hands.up) == sorted(SERVERS)
    assert [stage.owners(name) for name in SERVERS] == [1] * 30
