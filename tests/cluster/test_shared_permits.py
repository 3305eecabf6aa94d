"""Permits over a store that delays, loses and reorders answers."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import orjson
import pytest

from statemachine.cluster.permits import LEDGER, LOOK_S, UNOWNED_S, SharedPermits
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import OwnsEverything, engine, settled
from tests.cluster.virtual import in_virtual_time


def held(shared: FakeEngine) -> dict[str, str]:
    """Return the ledger in the store."""
    stored = shared.get(Dataset.SHARED, LEDGER)
    ledger: dict[str, str] = orjson.loads(stored.value) if stored is not None else {}
    return ledger


@asynccontextmanager
async def permits(
    shared: FakeEngine, name: str, total: int = 1, unowned: Collection[str] = ()
) -> AsyncIterator[SharedPermits]:
    made = SharedPermits(shared.store(name, 1.0), OwnsEverything(), lambda server: server not in unowned, total, 1)
    running = asyncio.ensure_future(made.run())
    await settled()
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_virtual_time
async def test_acquire_cancelled_in_doubt_frees_the_permit() -> None:
    shared = engine()
    async with permits(shared, "one") as one:
        shared.in_doubt = lambda: True
        shared.cut("one")
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(0.01)
        assert held(shared) == {"a": "h"}
        await asyncio.sleep(1.2)
        waiting.cancel()
        await asyncio.sleep(10)
        shared.heal("one")
        await settled()
        assert held(shared) == {}


@in_virtual_time
async def test_acquire_in_doubt_is_granted_once_connected() -> None:
    shared = engine()
    async with permits(shared, "one") as one:
        shared.in_doubt = lambda: True
        shared.cut("one")
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(10)
        assert not waiting.done()
        shared.heal("one")
        await asyncio.wait_for(waiting, 5)
        assert held(shared) == {"a": "h"}


@in_virtual_time
async def test_take_keeps_what_another_node_wrote_meanwhile() -> None:
    """The answer to our own write may arrive after the next write of another node."""
    shared = engine()
    async with permits(shared, "one", 9) as one, permits(shared, "two", 9) as two:
        delays = iter([0.001, 0.5])
        one_way = shared.latency
        shared.latency = lambda: next(delays, 0.001)
        one.take("a", "h")
        await asyncio.sleep(0.01)
        shared.latency = one_way
        two.take("b", "i")
        await settled()
        one.take("c", "j")
        await settled()
        assert held(shared) == {"a": "h", "b": "i", "c": "j"}


@in_virtual_time
async def test_permit_outlives_the_node_that_acquired_it() -> None:
    shared = engine()
    async with permits(shared, "one") as one:
        await one.acquire("a", "h")
    async with permits(shared, "two") as two:
        waiting = asyncio.ensure_future(two.acquire("b", "i"))
        await settled()
        assert not waiting.done()
        two.release("a")
        await asyncio.wait_for(waiting, 1)


@in_virtual_time
async def test_acquire_while_resized_repeatedly_is_granted() -> None:
    async with permits(FakeEngine(), "one") as one:
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        for _ in range(1000):
            if waiting.done():
                break
            one.resize(1, 1)
            await asyncio.sleep(0)
        assert waiting.done()


GARBAGE = [
    b"",
    b"\xff",
    b"[]",
    b"7",
    b"null",
    b'{"a": 1}',
    b'{"a": ["h"]}',
    b"[" * 5000,
    b'"' + b"x" * 2_000_000 + b'"',
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@in_virtual_time
async def test_unreadable_ledger_is_rebuilt_with_every_permit(garbage: bytes) -> None:
    shared = engine()
    async with permits(shared, "one", 2) as one, permits(shared, "two", 2) as two:
        await one.acquire("a", "h")
        stored = shared.get(Dataset.SHARED, LEDGER)
        assert stored is not None
        shared.put(Dataset.SHARED, LEDGER, garbage, stored.revision)
        await asyncio.wait_for(two.acquire("b", "i"), 5)
        await settled()
        assert held(shared) == {"a": "h", "b": "i"}
        waiting = asyncio.ensure_future(two.acquire("c", "j"))
        await settled()
        assert not waiting.done()
        one.release("a")
        await asyncio.wait_for(waiting, 5)


@in_virtual_time
async def test_permits_of_servers_that_no_node_owns_end() -> None:
    shared = engine()
    ghosts = {f"ghost{number}": "h" for number in range(3)}
    async with permits(shared, "one", 2, ghosts) as one, permits(shared, "two", 2, ghosts):
        shared.overwrite(Dataset.SHARED, LEDGER, orjson.dumps(ghosts | {"other": "i"}))
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(0.9 * UNOWNED_S)
        assert held(shared) == ghosts | {"other": "i"}
        await asyncio.sleep(0.1 * UNOWNED_S + 2 * LOOK_S)
        assert held(shared) == {"other": "i", "a": "h"}
        assert waiting.done()
