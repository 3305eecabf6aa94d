"""What can only go wrong with permits where a store is between the nodes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from statemachine.cluster.permits import LEDGER, SharedPermits
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import engine, settled
from tests.cluster.owners import OwnsWhatever
from tests.cluster.virtual import in_virtual_time


def held(both: FakeEngine) -> dict[str, str]:
    """By the ledger."""
    kept = both.get(Dataset.SHARED, LEDGER)
    ledger: dict[str, str] = orjson.loads(kept.value) if kept is not None else {}
    return ledger


@asynccontextmanager
async def permits(both: FakeEngine, name: str, total: int = 1) -> AsyncIterator[SharedPermits]:
    made = SharedPermits(both.store(name, 1.0), OwnsWhatever(), total, 1)
    running = asyncio.ensure_future(made.run())
    await settled()
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_virtual_time
async def test_a_grant_in_doubt_whose_waiter_has_gone_is_given_back() -> None:
    both = engine()
    async with permits(both, "one") as one:
        both.in_doubt = lambda: True
        both.cut("one")
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(0.01)
        assert held(both) == {"a": "h"}
        await asyncio.sleep(1.2)
        waiting.cancel()
        await asyncio.sleep(10)
        both.heal("one")
        await settled()
        assert held(both) == {}


@in_virtual_time
async def test_a_grant_in_doubt_is_a_grant_once_it_is_seen() -> None:
    both = engine()
    async with permits(both, "one") as one:
        both.in_doubt = lambda: True
        both.cut("one")
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(10)
        assert not waiting.done()
        both.heal("one")
        await asyncio.wait_for(waiting, 5)
        assert held(both) == {"a": "h"}


@in_virtual_time
async def test_what_another_node_has_written_meanwhile_is_not_written_over() -> None:
    """The answer to our own write may come after what was written next has been read."""
    both = engine()
    async with permits(both, "one", 9) as one, permits(both, "two", 9) as two:
        slow = iter([0.001, 0.5])
        one_way = both.latency
        both.latency = lambda: next(slow, 0.001)
        one.take("a", "h")
        await asyncio.sleep(0.01)
        both.latency = one_way
        two.take("b", "i")
        await settled()
        one.take("c", "j")
        await settled()
        assert held(both) == {"a": "h", "b": "i", "c": "j"}


@in_virtual_time
async def test_the_permit_of_a_server_outlives_the_node_that_asked_for_it() -> None:
    both = engine()
    async with permits(both, "one") as one:
        await one.acquire("a", "h")
    async with permits(both, "two") as two:
        waiting = asyncio.ensure_future(two.acquire("b", "i"))
        await settled()
        assert not waiting.done()
        two.release("a")
        await asyncio.wait_for(waiting, 1)
