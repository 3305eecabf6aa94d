"""Permits for warm-ups, of one daemon or of all nodes: what is asked for on one node counts on the other."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from statemachine.cluster.permits import SharedPermits
from statemachine.core.backoff import Budget
from statemachine.fleet.permits import Permits, PermitsPort
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import engine, settled
from tests.cluster.owners import OwnsWhatever
from tests.cluster.virtual import in_virtual_time

TOTAL, PER_HOST = 4, 2


class Stage:
    """Two daemons' sides, which may be one and the same; who holds a permit, and in which order they were granted."""

    def __init__(self, here: PermitsPort, there: PermitsPort, engine: FakeEngine | None = None) -> None:
        self.here, self.there, self.engine = here, there, engine
        self.granted: list[str] = []
        self.waiting: dict[str, asyncio.Task[None]] = {}

    def ask(self, server: str, host: str = "h", side: PermitsPort | None = None) -> None:
        self.waiting[server] = asyncio.ensure_future(self._ask(server, host, side or self.here))

    async def _ask(self, server: str, host: str, side: PermitsPort) -> None:
        await side.acquire(server, host)
        self.granted.append(server)

    async def cancel(self, server: str) -> None:
        self.waiting[server].cancel()
        await asyncio.gather(self.waiting[server], return_exceptions=True)

    async def give_back(self, server: str, side: PermitsPort | None = None) -> None:
        (side or self.here).release(server)
        await settled()


@asynccontextmanager
async def alone() -> AsyncIterator[Stage]:
    permits = Permits(Budget(TOTAL, PER_HOST))
    yield Stage(permits, permits)


@asynccontextmanager
async def shared() -> AsyncIterator[Stage]:
    both = engine()
    here, there = (SharedPermits(both.store(name, 1.0), OwnsWhatever(), TOTAL, PER_HOST) for name in ("here", "there"))
    running = [asyncio.ensure_future(one.run()) for one in (here, there)]
    await settled()
    yield Stage(here, there, both)
    for one in running:
        one.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture(params=[alone, shared])
def stage(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Stage]:
    made: AbstractAsyncContextManager[Stage] = request.param()
    return made


@in_virtual_time
async def test_no_more_than_the_limits_and_in_turn(stage: Stage) -> None:
    for number in range(4):
        stage.ask(f"h{number}")
    await settled()
    assert stage.granted == ["h0", "h1"]
    await stage.give_back("h0")
    assert stage.granted == ["h0", "h1", "h2"]


@in_virtual_time
async def test_a_full_host_holds_up_nobody_else(stage: Stage) -> None:
    for server, host in [("h0", "h"), ("h1", "h"), ("h2", "h"), ("i0", "i"), ("j0", "j"), ("k0", "k")]:
        stage.ask(server, host)
    await settled()
    assert stage.granted == ["h0", "h1", "i0", "j0"]
    await stage.give_back("h0")
    assert stage.granted[4:] == ["h2"], "who has waited longest and fits goes first"


@in_virtual_time
async def test_both_sides_count_together(stage: Stage) -> None:
    for number in range(6):
        stage.ask(f"s{number}", f"host {number}", stage.here if number % 2 else stage.there)
    await settled()
    assert len(stage.granted) == TOTAL
    first = stage.granted[0]
    await stage.give_back(first, stage.here if first in {"s1", "s3", "s5"} else stage.there)
    assert len(stage.granted) == TOTAL + 1


@in_virtual_time
async def test_who_waits_and_goes_takes_nothing_with_it(stage: Stage) -> None:
    for server in ("h0", "h1", "h2", "h3"):
        stage.ask(server)
    await settled()
    await stage.cancel("h2")
    await stage.give_back("h0")
    assert stage.granted == ["h0", "h1", "h3"]
    stage.ask("h4")
    await stage.give_back("h1")
    await stage.give_back("h3")
    stage.ask("h5")
    await settled()
    assert stage.granted[3:] == ["h4", "h5"]


@in_virtual_time
@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025])
async def test_who_goes_just_as_it_is_granted_leaves_it_to_others(stage: Stage, after_s: float) -> None:
    stage.ask("h0")
    stage.ask("h1")
    await asyncio.sleep(after_s)
    await stage.cancel("h0")
    stage.here.release("h0")
    stage.ask("h2")
    await settled()
    assert {"h1", "h2"} <= set(stage.granted)


@in_virtual_time
async def test_what_is_in_flight_already_counts_room_or_not(stage: Stage) -> None:
    for number in range(3):
        stage.here.take(f"h{number}", "h")
    stage.here.take("h0", "h")
    stage.ask("h3")
    for server in ("h0", "h1"):
        await stage.give_back(server)
        await settled()
    assert stage.granted == ["h3"]


@in_virtual_time
async def test_giving_back_twice_or_what_one_never_had_changes_nothing(stage: Stage) -> None:
    for number in range(4):
        stage.ask(f"h{number}")
    await settled()
    for _ in range(3):
        await stage.give_back("h0")
        await stage.give_back("nobody")
    assert stage.granted == ["h0", "h1", "h2"]


@in_virtual_time
async def test_taken_and_given_back_at_once(stage: Stage) -> None:
    stage.here.take("h0", "h")
    stage.here.release("h0")
    stage.here.take("h0", "h")
    stage.here.release("h0")
    for server in ("h1", "h2"):
        stage.ask(server)
    await settled()
    assert stage.granted == ["h1", "h2"]


@in_virtual_time
async def test_there_may_be_more_and_less_of_them(stage: Stage) -> None:
    for number in range(4):
        stage.ask(f"h{number}")
    await settled()
    stage.here.resize(TOTAL, 3)
    await settled()
    assert stage.granted == ["h0", "h1", "h2"]
    stage.here.resize(TOTAL, 1)
    await stage.give_back("h0")
    await stage.give_back("h1")
    assert stage.granted == ["h0", "h1", "h2"], "those held are kept and count"
    await stage.give_back("h2")
    assert stage.granted == ["h0", "h1", "h2", "h3"]


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_whatever_happens_no_limit_is_passed_and_nothing_leaks(stage: Stage, seed: int) -> None:
    chance, held = random.Random(seed), set[str]()
    if stage.engine is not None:
        stage.engine.latency = lambda: chance.random() * 0.2

    async def live(server: str, host: str, side: PermitsPort) -> None:
        for _ in range(5):
            waiting = asyncio.ensure_future(side.acquire(server, host))
            await asyncio.wait({waiting}, timeout=chance.random() * 3)
            if waiting.done():
                held.add(server)
                assert len(held) <= TOTAL
                assert sum(one[0] == host for one in held) <= PER_HOST
                await asyncio.sleep(chance.random())
                held.discard(server)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            side.release(server)

    await asyncio.gather(
        *(live(f"{host}{n}", host, stage.here if n % 2 else stage.there) for n in range(3) for host in "hijk")
    )
    await settled()
    for number, host in enumerate("hijk"):
        stage.ask(f"last {number}", host, stage.there if number % 2 else stage.here)
    await settled()
    assert len(stage.granted) == TOTAL
