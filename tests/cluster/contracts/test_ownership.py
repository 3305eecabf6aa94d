"""The contract of Ownership: every server has one owner, a single daemon or one of three nodes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from statemachine.core.ports import Ownership, SoleOwner
from tests.cluster.nodes import FakeServerHost, Node, engine, running, settled
from tests.cluster.virtual import in_virtual_time

SERVERS = tuple(f"s{number}" for number in range(30))


@dataclass
class Daemons:
    """Daemons over one fleet, each with its host."""

    daemons: list[tuple[Ownership, FakeServerHost]]

    async def set_servers(self, *servers: str) -> None:
        """Set the servers of all daemons and wait until they have been distributed."""
        await self.start_setting(servers)
        await settled()

    async def start_setting(self, servers: tuple[str, ...]) -> None:
        """Set the servers of all daemons, as a fleet does on a reload."""
        for ownership, host in self.daemons:
            host.known = servers
            await host.release(host.acquired - set(servers))
            await ownership.set_servers(list(servers), host)

    @property
    def acquired(self) -> list[str]:
        """The servers that the hosts have acquired."""
        return sorted(name for _, host in self.daemons for name in host.acquired)

    def owners(self, server: str) -> int:
        return sum(ownership.owns(server) for ownership, _ in self.daemons)


@asynccontextmanager
async def alone(_: Path) -> AsyncIterator[Daemons]:
    yield Daemons([(SoleOwner(), FakeServerHost())])


@asynccontextmanager
async def three_nodes(folder: Path) -> AsyncIterator[Daemons]:
    shared = engine()
    nodes = [Node(shared, name, folder, ()) for name in ("one", "two", "three")]
    async with running(*nodes):
        yield Daemons([(node.node.ownership, node.host) for node in nodes])


@pytest.fixture(params=[alone, three_nodes])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Daemons]:
    make: Callable[[Path], AbstractAsyncContextManager[Daemons]] = request.param
    return make(tmp_path)


@in_virtual_time
async def test_set_servers_gives_each_server_one_owner(fleet: Daemons) -> None:
    await fleet.set_servers(*SERVERS)
    assert fleet.acquired == sorted(SERVERS)
    for ownership, host in fleet.daemons:
        for name in SERVERS:
            assert ownership.owns(name) == ownership.may_submit(name) == (name in host.acquired)


@in_virtual_time
async def test_owns_server_outside_the_fleet_is_false(fleet: Daemons) -> None:
    await fleet.set_servers("s1")
    assert fleet.owners("s2") == 0
    assert not any(ownership.may_submit("s2") for ownership, _ in fleet.daemons)


@in_virtual_time
async def test_set_servers_more_servers_acquires_only_the_new_ones(fleet: Daemons) -> None:
    await fleet.set_servers(*SERVERS[:10])
    for _, host in fleet.daemons:
        host.calls.clear()
    await fleet.set_servers(*SERVERS)
    assert fleet.acquired == sorted(SERVERS)
    calls = {call for _, host in fleet.daemons for call in host.calls}
    assert {name for method, name in calls if method == "acquire"} == set(SERVERS[10:])
    assert not {name for _, name in calls} & set(SERVERS[:10])


@in_virtual_time
async def test_set_servers_removed_server_has_no_owner_until_added(fleet: Daemons) -> None:
    await fleet.set_servers(*SERVERS)
    await fleet.set_servers(*SERVERS[:10])
    assert [fleet.owners(name) for name in SERVERS] == [1] * 10 + [0] * 20
    await fleet.set_servers(*SERVERS)
    assert [fleet.owners(name) for name in SERVERS] == [1] * 30
    assert fleet.acquired == sorted(SERVERS)


@in_virtual_time
async def test_set_servers_in_quick_succession_applies_the_last(fleet: Daemons) -> None:
    for servers in (SERVERS[:20], SERVERS[10:], SERVERS[5:15], SERVERS):
        await fleet.start_setting(servers)
        await asyncio.sleep(0.003)
    await settled()
    assert fleet.acquired == sorted(SERVERS)
    assert [fleet.owners(name) for name in SERVERS] == [1] * 30
