"""The fake store in virtual time: partitions, writes in doubt, order of messages."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from campaigns.simulation.loop import VirtualLoop
from statemachine.cluster.store import ConflictError, Dataset, StoredValue, StoreUnavailableError
from tests.cluster.fake_store import BATCH_SIZE, FakeEngine
from tests.cluster.following import following


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run the test in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


def elapsed() -> float:
    return asyncio.get_running_loop().time()


def test_append_while_cut_off_takes_the_whole_timeout() -> None:
    async def test() -> None:
        engine = FakeEngine(latency=lambda: 0.1)
        store = engine.store("a", timeout_s=2.0)
        engine.cut("a")
        with pytest.raises(StoreUnavailableError):
            await store.append(b"x", "x")
        assert elapsed() == pytest.approx(2.0)
        engine.heal("a")
        assert await store.append(b"x", "x") == 1
        assert elapsed() == pytest.approx(2.2)

    run(test())


def test_put_in_doubt_may_be_applied() -> None:
    async def test() -> None:
        engine = FakeEngine(in_doubt=lambda: True)
        a, b = engine.store("a"), engine.store("b")
        engine.cut("a")
        with pytest.raises(StoreUnavailableError):
            await a.put(Dataset.SERVERS, "s", b"a", 0)
        assert await b.get(Dataset.SERVERS, "s") == StoredValue("s", b"a", 1)
        engine.heal("a")
        with pytest.raises(ConflictError):
            await a.put(Dataset.SERVERS, "s", b"a", 0)

    run(test())


def test_append_cut_off_after_sending_is_applied() -> None:
    async def test() -> None:
        engine = FakeEngine(latency=lambda: 1.0)
        store = engine.store("a", timeout_s=3.0)
        asyncio.get_running_loop().call_later(1.5, engine.cut, "a")
        with pytest.raises(StoreUnavailableError):
            await store.append(b"x", "x")
        assert engine.datasets[Dataset.LOG].last == 1

    run(test())


def test_append_while_engine_is_down_is_not_applied() -> None:
    async def test() -> None:
        engine = FakeEngine(in_doubt=lambda: True)
        store = engine.store("a")
        engine.down()
        with pytest.raises(StoreUnavailableError):
            await store.append(b"x", "x")
        engine.up()
        assert await store.append(b"y", "y") == 1

    run(test())


def test_follow_after_partition_yields_missed_values() -> None:
    async def test() -> None:
        engine = FakeEngine(latency=Random(1).random)
        a, b = engine.store("a", timeout_s=9.0), engine.store("b", timeout_s=9.0)
        async with following(a, Dataset.LOG) as log:
            await b.append(b"0", "0")
            await log.until(lambda log: len(log.stored) == 1)
            engine.cut("a")
            for i in range(1, 2 * BATCH_SIZE):
                await b.append(b"%d" % i, str(i))
            assert len(log.stored) == 1
            engine.heal("a")
            await log.until(lambda log: len(log.stored) == 2 * BATCH_SIZE)
        assert [int(value) for value in log.values] == list(range(2 * BATCH_SIZE))
        assert [batch.caught_up for batch in log.batches][-2:] == [False, True]

    run(test())


def test_publish_random_latency_keeps_the_order() -> None:
    async def test() -> None:
        engine = FakeEngine(latency=Random(2).random)
        a, b = engine.store("a"), engine.store("b")
        received: list[int] = []
        await b.subscribe("news", lambda value: received.append(int(value)))
        for i in range(50):
            a.publish("news", b"%d" % i)
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        assert received == list(range(50))

    run(test())


def test_follow_trimmed_log_starts_at_the_oldest_entry() -> None:
    async def test() -> None:
        engine = FakeEngine()
        store = engine.store("a")
        for i in range(10):
            await store.append(b"%d" % i, str(i))
        engine.trim(below=8)
        async with following(store, Dataset.LOG, after=2) as log:
            await log.until(lambda log: bool(log.stored))
        assert [stored.revision for stored in log.stored] == [8, 9, 10]

    run(test())


def test_append_same_id_after_two_minutes_is_a_new_entry() -> None:
    async def test() -> None:
        store = FakeEngine().store("a")
        assert await store.append(b"x", "x") == 1
        await asyncio.sleep(119)
        assert await store.append(b"x", "x") == 1
        await asyncio.sleep(2)
        assert await store.append(b"x", "x") == 2

    run(test())
