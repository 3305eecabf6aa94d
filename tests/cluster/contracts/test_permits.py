"""The contract of PermitsPort, for one daemon and for two nodes with common limits."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from statemachine.cluster.permits import SharedPermits
from statemachine.core.backoff import Budget
from statemachine.fleet.permits import Permits, PermitsPort
from tests.cluster.fake_store import FakeEngine
from tests.cluster.holders import FakeHolders
from tests.cluster.nodes import OwnsEverything, engine, settled
from tests.cluster.virtual import in_virtual_time

TOTAL, PER_HOST = 4, 2


class Clients:
    """The permits of two nodes, or twice those of one daemon. `granted` lists servers in order of their permits."""

    def __init__(self, here: PermitsPort, there: PermitsPort, engine: FakeEngine | None = None) -> None:
        self.here, self.there, self.engine = here, there, engine
        self.granted: list[str] = []
        self.waiting: dict[str, asyncio.Task[None]] = {}

    def request(self, server: str, host: str = "h", side: PermitsPort | None = None, group: str = "") -> None:
        self.waiting[server] = asyncio.ensure_future(self._acquire(server, host, side or self.here, group))

    async def _acquire(self, server: str, host: str, side: PermitsPort, group: str) -> None:
        await side.acquire(server, host, group)
        self.granted.append(server)

    async def cancel(self, server: str) -> None:
        self.waiting[server].cancel()
        await asyncio.gather(self.waiting[server], return_exceptions=True)

    async def release(self, server: str, side: PermitsPort | None = None) -> None:
        (side or self.here).release(server)
        await settled()


@asynccontextmanager
async def alone() -> AsyncIterator[Clients]:
    permits = Permits(Budget(TOTAL, PER_HOST))
    yield Clients(permits, permits)


@asynccontextmanager
async def shared() -> AsyncIterator[Clients]:
    shared_engine = engine()
    here, there = (
        SharedPermits(shared_engine.store(name, 1.0), OwnsEverything(), FakeHolders(), TOTAL, PER_HOST)
        for name in ("here", "there")
    )
    running = [asyncio.ensure_future(one.run()) for one in (here, there)]
    await settled()
    yield Clients(here, there, shared_engine)
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture(params=[alone, shared])
def clients(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Clients]:
    made: AbstractAsyncContextManager[Clients] = request.param()
    return made


@in_virtual_time
async def test_acquire_grants_up_to_the_limit_in_order(clients: Clients) -> None:
    for number in range(4):
        clients.request(f"h{number}")
    await settled()
    assert clients.granted == ["h0", "h1"]
    await clients.release("h0")
    assert clients.granted == ["h0", "h1", "h2"]


@in_virtual_time
async def test_acquire_full_host_does_not_block_other_hosts(clients: Clients) -> None:
    for server, host in [("h0", "h"), ("h1", "h"), ("h2", "h"), ("i0", "i"), ("j0", "j"), ("k0", "k")]:
        clients.request(server, host)
    await settled()
    assert clients.granted == ["h0", "h1", "i0", "j0"]
    await clients.release("h0")
    assert clients.granted[4:] == ["h2"], "the first waiter that fits is granted"


@in_virtual_time
async def test_acquire_group_with_half_lets_others_go_first(clients: Clients) -> None:
    for number in range(6):
        clients.request(f"many{number}", f"host {number}", group="many")
        await settled()
    clients.request("few", "another host", group="few")
    await settled()
    assert clients.granted == ["many0", "many1", "many2", "many3"], "a full share while no other server waited"
    await clients.release("many0")
    assert clients.granted[4:] == ["few"]
    await clients.release("few")
    assert clients.granted[5:] == ["many4"]


@in_virtual_time
async def test_acquire_on_two_nodes_counts_together(clients: Clients) -> None:
    for number in range(6):
        clients.request(f"s{number}", f"host {number}", clients.here if number % 2 else clients.there)
    await settled()
    assert len(clients.granted) == TOTAL
    first = clients.granted[0]
    await clients.release(first, clients.here if first in {"s1", "s3", "s5"} else clients.there)
    assert len(clients.granted) == TOTAL + 1


@in_virtual_time
async def test_acquire_cancelled_while_waiting_takes_no_permit(clients: Clients) -> None:
    for server in ("h0", "h1", "h2", "h3"):
        clients.request(server)
    await settled()
    await clients.cancel("h2")
    await clients.release("h0")
    assert clients.granted == ["h0", "h1", "h3"]
    clients.request("h4")
    await clients.release("h1")
    await clients.release("h3")
    clients.request("h5")
    await settled()
    assert clients.granted[3:] == ["h4", "h5"]


@in_virtual_time
@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025])
async def test_acquire_cancelled_when_granted_frees_the_permit(clients: Clients, after_s: float) -> None:
    clients.request("h0")
    clients.request("h1")
    await asyncio.sleep(after_s)
    await clients.cancel("h0")
    clients.here.release("h0")
    clients.request("h2")
    await settled()
    assert {"h1", "h2"} <= set(clients.granted)


@in_virtual_time
async def test_take_counts_beyond_the_limit(clients: Clients) -> None:
    for number in range(3):
        clients.here.take(f"h{number}", "h")
    clients.here.take("h0", "h")
    clients.request("h3")
    for server in ("h0", "h1"):
        await clients.release(server)
        await settled()
    assert clients.granted == ["h3"]


@in_virtual_time
async def test_release_twice_or_without_a_permit_changes_nothing(clients: Clients) -> None:
    for number in range(4):
        clients.request(f"h{number}")
    await settled()
    for _ in range(3):
        await clients.release("h0")
        await clients.release("unknown")
    assert clients.granted == ["h0", "h1", "h2"]


@in_virtual_time
async def test_take_and_release_at_once_leaves_no_permit(clients: Clients) -> None:
    clients.here.take("h0", "h")
    clients.here.release("h0")
    clients.here.take("h0", "h")
    clients.here.release("h0")
    for server in ("h1", "h2"):
        clients.request(server)
    await settled()
    assert clients.granted == ["h1", "h2"]


@in_virtual_time
async def test_resize_grants_more_or_keeps_those_held(clients: Clients) -> None:
    for number in range(4):
        clients.request(f"h{number}")
    await settled()
    clients.here.resize(TOTAL, 3)
    await settled()
    assert clients.granted == ["h0", "h1", "h2"]
    clients.here.resize(TOTAL, 1)
    await clients.release("h0")
    await clients.release("h1")
    assert clients.granted == ["h0", "h1", "h2"], "permits that are held still count"
    await clients.release("h2")
    assert clients.granted == ["h0", "h1", "h2", "h3"]


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_permits_random_use_keeps_limits_and_leaks_none(clients: Clients, seed: int) -> None:
    rng, held = random.Random(seed), set[str]()
    if clients.engine is not None:
        clients.engine.latency = lambda: rng.random() * 0.2

    async def live(server: str, host: str, side: PermitsPort) -> None:
        for _ in range(5):
            waiting = asyncio.ensure_future(side.acquire(server, host))
            await asyncio.wait({waiting}, timeout=rng.random() * 3)
            if waiting.done():
                held.add(server)
                assert len(held) <= TOTAL
                assert sum(one[0] == host for one in held) <= PER_HOST
                await asyncio.sleep(rng.random())
                held.discard(server)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            side.release(server)

    await asyncio.gather(
        *(live(f"{host}{n}", host, clients.here if n % 2 else clients.there) for n in range(3) for host in "hijk")
    )
    await settled()
    for number, host in enumerate("hijk"):
        clients.request(f"last {number}", host, clients.there if number % 2 else clients.here)
    await settled()
    assert len(clients.granted) == TOTAL
