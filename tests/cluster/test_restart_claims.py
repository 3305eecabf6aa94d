"""The claims of several nodes for the restarts that their triggers ask for."""

import asyncio

import pytest

from statemachine.cluster.restart_claims import CLAIM_S, KEY, SharedClaims
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import engine

pytestmark = pytest.mark.looptime

GROUP = ["group farm"]


class Nodes:
    """Two nodes with one store. `restarting` are the servers that have an open restart."""

    def __init__(self, shared: FakeEngine) -> None:
        self.shared = shared
        self.restarting: set[str] = set()
        self.claims = [SharedClaims(shared.store(name), self.restarting.__contains__) for name in ("one", "two")]


@pytest.fixture
def nodes() -> Nodes:
    return Nodes(engine())


async def test_one_of_two_nodes_gets_the_claim_of_a_group(nodes: Nodes) -> None:
    got = await asyncio.gather(*(one.claim(f"server {n}", GROUP) for n, one in enumerate(nodes.claims)))
    assert sorted(got) == [False, True]
    assert await nodes.claims[0].claim("other", ["group other"])


async def test_claim_counts_until_its_restart_has_ended(nodes: Nodes) -> None:
    first, second = nodes.claims
    assert await first.claim("a", GROUP)
    nodes.restarting.add("a")
    assert not await second.claim("b", GROUP)
    await asyncio.sleep(10 * CLAIM_S)
    assert not await second.claim("b", GROUP)
    nodes.restarting.clear()
    assert await second.claim("b", GROUP)
    assert not await first.claim("a", GROUP)


async def test_claim_without_restart_ends_in_time(nodes: Nodes) -> None:
    """The node that had it has died, or the server was paused meanwhile."""
    first, second = nodes.claims
    assert await first.claim("a", GROUP)
    assert await first.claim("a", GROUP)
    assert not await second.claim("b", GROUP)
    await asyncio.sleep(CLAIM_S)
    assert await second.claim("b", GROUP)


async def test_servers_of_a_host_share_a_claim_over_groups(nodes: Nodes) -> None:
    first, second = nodes.claims
    assert await first.claim("a", ["group one", "host gpu-1"])
    assert not await second.claim("b", ["group two", "host gpu-1"])
    assert await second.claim("c", ["group two", "host gpu-2"])


async def test_claims_of_past_restarts_are_removed(nodes: Nodes) -> None:
    for number in range(50):
        assert await nodes.claims[number % 2].claim(f"pod {number}", [f"host 10.0.0.{number}"])
        await asyncio.sleep(CLAIM_S / 5)
    stored = nodes.shared.get(Dataset.SHARED, KEY)
    assert stored is not None
    assert stored.value.count(b"pod") <= 12


@pytest.mark.parametrize("value", [b"", b"[]", b'{"server": 7}', b"\xff"])
async def test_damaged_claim_counts_for_its_time_only(nodes: Nodes, value: bytes) -> None:
    assert await nodes.claims[0].claim("a", GROUP)
    nodes.shared.overwrite(Dataset.SHARED, KEY, value)
    assert not await nodes.claims[1].claim("b", GROUP)
    await asyncio.sleep(CLAIM_S)
    assert await nodes.claims[1].claim("b", GROUP)


async def test_store_that_is_away_gives_no_claim(nodes: Nodes) -> None:
    nodes.shared.down()
    assert not await nodes.claims[0].claim("a", GROUP)
