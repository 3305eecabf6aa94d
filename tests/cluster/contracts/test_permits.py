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
from tests.cluster.nodes import OwnsEverything, engine, settled
from tests.cluster.virtual import in_virtual_time

TOTAL, PER_HOST = 4, 2


class Clients:
    """The permits of two nodes, or twice those of one daemon. `granted` lists servers in order of their permits."""

    def __init__(self, here: PermitsPort, there: PermitsPort, engine: FakeEngine | None = None) -> None:
        self.here, self.there, self.engine = here, there, engine
        self.granted: list[str] = []
        self.waiting: dict[str, asyncio.Task[None]] = {}

    def request(self, server: str, host: str = "h", side: PermitsPort | None = None) -> None:
        self.waiting[server] = asyncio.ensure_future(self._acquire(server, host, side or self.here))

    async def _acquire(self, server: str, host: str, side: PermitsPort) -> None:
        await side.acquire(server, host)
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
        SharedPermits(shared_engine.store(name, 1.0), OwnsEverything(), TOTAL, PER_HOST) for name in ("here", "there")
    )
    running = [asyncio.ensure_future(one.run()) for one in (here, there)]
    await settled()
    yield Clients(here, there, shared_engine)
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture(params=[alone, shared])
def setup(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Clients]:
    made: AbstractAsyncContextManager[Clients] = request.param()
    return made


@in_virtual_time
async def test_acquire_grants_up_to_the_limit_in_order(setup: Clients) -> None:
    for number in range(4):
        setup.request(f"h{number}")
    await settled()
    assert setup.granted == ["h0", "h1"]
    await setup.release("h0")
    assert setup.granted == ["h0", "h1", "h2"]


@in_virtual_time
async def test_acquire_full_host_does_not_block_other_hosts(setup: Clients) -> None:
    for server, host in [("h0", "h"), ("h1", "h"), ("h2", "h"), ("i0", "i"), ("j0", "j"), ("k0", "k")]:
        setup.request(server, host)
    await settled()
    assert setup.granted == ["h0", "h1", "i0", "j0"]
    await setup.release("h0")
    assert setup.granted[4:] == ["h2"], "the first waiter that fits is granted"


@in_virtual_time
async def test_acquire_on_two_nodes_counts_together(setup: Clients) -> None:
    for number in range(6):
        setup.request(f"s{number}", f"host {number}", setup.here if number % 2 else setup.there)
    await settled()
    assert len(setup.granted) == TOTAL
    first = setup.granted[0]
    await setup.release(first, setup.here if first in {"s1", "s3", "s5"} else setup.there)
    assert len(setup.granted) == TOTAL + 1


@in_virtual_time
async def test_acquire_cancelled_while_waiting_takes_no_permit(setup: Clients) -> None:
    for server in ("h0", "h1", "h2", "h3"):
        setup.request(server)
    await settled()
    await setup.cancel("h2")
    await setup.release("h0")
    assert setup.granted == ["h0", "h1", "h3"]
    setup.request("h4")
    await setup.release("h1")
    await setup.release("h3")
    setup.request("h5")
    await settled()
    assert setup.granted[3:] == ["h4", "h5"]


@in_virtual_time
@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025])
async def test_acquire_cancelled_when_granted_frees_the_permit(setup: Clients, after_s: float) -> None:
    setup.request("h0")
    setup.request("h1")
    await asyncio.sleep(after_s)
    await setup.cancel("h0")
    setup.here.release("h0")
    setup.request("h2")
    await settled()
    assert {"h1", "h2"} <= set(setup.granted)


@in_virtual_time
async def test_take_counts_beyond_the_limit(setup: Clients) -> None:
    for number in range(3):
        setup.here.take(f"h{number}", "h")
    setup.here.take("h0", "h")
    setup.request("h3")
    for server in ("h0", "h1"):
        await setup.release(server)
        await settled()
    assert setup.granted == ["h3"]


@in_virtual_time
async def test_release_twice_or_without_a_permit_changes_nothing(setup: Clients) -> None:
    for number in range(4):
        setup.request(f"h{number}")
    await settled()
    for _ in range(3):
        await setup.release("h0")
        await setup.release("unknown")
    assert setup.granted == ["h0", "h1", "h2"]


@in_virtual_time
async def test_take_and_release_at_once_leaves_no_permit(setup: Clients) -> None:
    setup.here.take("h0", "h")
    setup.here.release("h0")
    setup.here.take("h0", "h")
    setup.here.release("h0")
    for server in ("h1", "h2"):
        setup.request(server)
    await settled()
    assert setup.granted == ["h1", "h2"]


@in_virtual_time
async def test_resize_grants_more_or_keeps_those_held(setup: Clients) -> None:
    for number in range(4):
        setup.request(f"h{number}")
    await settled()
    setup.here.resize(TOTAL, 3)
    await settled()
    assert setup.granted == ["h0", "h1", "h2"]
    setup.here.resize(TOTAL, 1)
    await setup.release("h0")
    await setup.release("h1")
    assert setup.granted == ["h0", "h1", "h2"], "permits that are held still count"
    await setup.release("h2")
    assert setup.granted == ["h0", "h1", "h2", "h3"]


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_permits_random_use_keeps_limits_and_leaks_none(setup: Clients, seed: int) -> None:
    rng, held = random.Random(seed), set[str]()
    if setup.engine is not None:
        setup.engine.latency = lambda: rng.random() * 0.2

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
        *(live(f"{host}{n}", host, setup.here if n % 2 else setup.there) for n in range(3) for host in "hijk")
    )
    await settled()
    for number, host in enumerate("hijk"):
        setup.request(f"last {number}", host, setup.there if number % 2 else setup.here)
    await settled()
    assert len(setup.granted) == TOTAL
