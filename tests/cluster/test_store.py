"""The contract of a shared store, for NATS and for the fake one."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.nats.layout import decode, encode
from statemachine.cluster.store import Batch, ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError
from tests.cluster.fake_store import FakeEngine
from tests.cluster.following import append_with_retries, following, until
from tests.cluster.nats_rig import nats_rig

TIMEOUT_S = 1.0
SLACK_S = 5.0
"""How much later than its timeout a call may raise on a busy machine."""
ODD_KEYS = ["192.0.2.1:8188", "GPU 1", "显卡 三号", "a.b..c", "*", ">", "~=%", "x" * 200]


@dataclass
class StorePair:
    """Two nodes' connections to one store. `cut` returns once `a` is cut off, `heal` once it is connected again."""

    a: SharedStore
    b: SharedStore
    cut: Callable[[], Awaitable[None]]
    heal: Callable[[], Awaitable[None]]


@asynccontextmanager
async def fake_pair(_: Path) -> AsyncIterator[StorePair]:
    engine = FakeEngine(latency=lambda: 0.001)

    async def cut() -> None:
        engine.cut("a")

    async def heal() -> None:
        engine.heal("a")

    yield StorePair(engine.store("a", TIMEOUT_S), engine.store("b", TIMEOUT_S), cut, heal)


@asynccontextmanager
async def nats_pair(folder: Path) -> AsyncIterator[StorePair]:
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(nats_rig(folder))
        options = NatsOptions(urls=rig.urls, replicas=1, timeout_s=TIMEOUT_S)
        a = await stack.enter_async_context(connected(options))
        b = await stack.enter_async_context(connected(options))

        async def cut() -> None:
            await rig.kill(0)
            await until(lambda: not (a.connected or b.connected))

        async def heal() -> None:
            await rig.start_all()
            await until(lambda: a.connected and b.connected)

        yield StorePair(a, b, cut, heal)


@pytest.fixture(params=[fake_pair, nats_pair], ids=["fake", "nats"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorePair]:
    async with request.param(tmp_path) as pair:
        yield pair


async def appended(store: SharedStore, *values: bytes) -> list[int]:
    return [await store.append(value, value.decode()) for value in values]


async def test_append_repeated_id_returns_the_first_number(pair: StorePair) -> None:
    assert await appended(pair.a, b"one", b"two") == [1, 2]
    assert await pair.b.append(b"two again", "two") == 2
    assert await appended(pair.b, b"three") == [3]
    async with following(pair.a, Dataset.LOG) as log:
        await log.until(lambda log: len(log.stored) == 3)
    assert log.stored == [StoredValue("", b"one", 1), StoredValue("", b"two", 2), StoredValue("", b"three", 3)]


async def test_lineage_is_the_same_for_both_nodes(pair: StorePair) -> None:
    assert pair.a.lineage == pair.b.lineage
    assert 0 < pair.a.lineage < 2**31


async def test_put_stale_revision_raises_conflict(pair: StorePair) -> None:
    first = await pair.a.put(Dataset.SERVERS, "s", b"1", 0)
    with pytest.raises(ConflictError):
        await pair.b.put(Dataset.SERVERS, "s", b"no", 0)
    second = await pair.b.put(Dataset.SERVERS, "s", b"2", first)
    with pytest.raises(ConflictError):
        await pair.a.put(Dataset.SERVERS, "s", b"no", first)
    assert second > first
    assert await pair.a.get(Dataset.SERVERS, "s") == StoredValue("s", b"2", second)


async def test_put_unknown_key_with_revision_raises_conflict(pair: StorePair) -> None:
    assert await pair.a.get(Dataset.NODES, "n") is None
    with pytest.raises(ConflictError):
        await pair.a.put(Dataset.NODES, "n", b"no", 7)


async def test_forget_deletes_only_what_is_at_the_revision(pair: StorePair) -> None:
    first = await pair.a.put(Dataset.SERVERS, "a.b c", b"1", 0)
    second = await pair.a.put(Dataset.SERVERS, "a.b c", b"2", first)
    other = await pair.a.put(Dataset.SERVERS, "a", b"3", 0)
    await pair.b.forget(Dataset.SERVERS, "a.b c", first)
    assert await pair.a.get(Dataset.SERVERS, "a.b c") == StoredValue("a.b c", b"2", second)
    await pair.b.forget(Dataset.SERVERS, "a.b c", second)
    await pair.b.forget(Dataset.SERVERS, "a.b c", second)
    assert await pair.a.get(Dataset.SERVERS, "a.b c") is None
    assert await pair.a.get(Dataset.SERVERS, "a") == StoredValue("a", b"3", other)
    with pytest.raises(ConflictError):
        await pair.a.put(Dataset.SERVERS, "a.b c", b"4", second)
    assert await pair.a.put(Dataset.SERVERS, "a.b c", b"5", 0) > other


async def test_put_concurrent_writes_let_one_win(pair: StorePair) -> None:
    stores = [pair.a, pair.b] * 5
    results = await asyncio.gather(
        *(store.put(Dataset.SHARED, "k", bytes([i]), 0) for i, store in enumerate(stores)), return_exceptions=True
    )
    winners = [i for i, result in enumerate(results) if isinstance(result, int)]
    assert len(winners) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == len(stores) - 1
    stored = await pair.b.get(Dataset.SHARED, "k")
    assert stored is not None
    assert stored.value == bytes(winners)


async def test_put_same_key_in_other_buckets_does_not_conflict(pair: StorePair) -> None:
    for dataset in (Dataset.NODES, Dataset.SERVERS, Dataset.SHARED):
        assert await pair.a.put(dataset, "k", dataset.encode(), 0) == 1


async def test_put_any_text_works_as_a_key(pair: StorePair) -> None:
    for key in ODD_KEYS:
        await pair.a.put(Dataset.SERVERS, key, key.encode(), 0)
    for key in ODD_KEYS:
        stored = await pair.b.get(Dataset.SERVERS, key)
        assert stored is not None
        assert (stored.key, stored.value) == (key, key.encode())
    async with following(pair.b, Dataset.SERVERS) as servers:
        await servers.until(lambda servers: len(servers.stored) == len(ODD_KEYS))
    assert [stored.key for stored in servers.stored] == ODD_KEYS


@given(st.text(min_size=1))
def test_encode_any_key_round_trips_in_token_characters(key: str) -> None:
    assert decode(encode(key)) == key
    assert set(encode(key)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=")


async def test_follow_empty_log_yields_an_empty_batch_first(pair: StorePair) -> None:
    async with following(pair.a, Dataset.LOG) as log:
        await log.until(lambda log: len(log.batches) == 1)
        assert log.batches == [Batch([], caught_up=True)]
        await appended(pair.b, b"one")
        await log.until(lambda log: log.values == [b"one"])
        assert log.batches[-1].caught_up


async def test_follow_from_the_end_yields_an_empty_batch_first(pair: StorePair) -> None:
    await appended(pair.a, b"one", b"two")
    async with following(pair.b, Dataset.LOG, after=2) as log:
        await log.until(lambda log: len(log.batches) == 1)
    assert log.batches == [Batch([], caught_up=True)]


async def test_follow_after_a_revision_skips_older_values(pair: StorePair) -> None:
    await appended(pair.a, b"one", b"two", b"three")
    async with following(pair.b, Dataset.LOG, after=1) as log:
        await log.until(lambda log: len(log.stored) == 2)
    assert log.stored == [StoredValue("", b"two", 2), StoredValue("", b"three", 3)]


async def test_follow_many_values_marks_only_the_last_batch_caught_up(pair: StorePair) -> None:
    values = [str(i).encode() for i in range(2000)]
    for start in range(0, len(values), 100):
        await asyncio.gather(
            *(append_with_retries(pair.a, value, value.decode()) for value in values[start : start + 100])
        )
    async with following(pair.b, Dataset.LOG) as log:
        await log.until(lambda log: len(log.stored) == len(values))
    assert sorted(log.values) == sorted(values)
    assert [batch.caught_up for batch in log.batches] == [False] * (len(log.batches) - 1) + [True]
    assert len(log.batches) > 1


async def test_follow_bucket_yields_only_the_latest_values(pair: StorePair) -> None:
    revision = await pair.a.put(Dataset.SERVERS, "s", b"old", 0)
    await pair.a.put(Dataset.SERVERS, "t", b"t", 0)
    await pair.a.put(Dataset.SERVERS, "s", b"new", revision)
    async with following(pair.b, Dataset.SERVERS) as servers:
        await servers.until(lambda servers: len(servers.stored) >= 2)
        assert servers.stored == [StoredValue("t", b"t", 2), StoredValue("s", b"new", 3)]
        assert servers.batches[-1].caught_up


async def test_follow_new_values_arrive_within_50_ms(pair: StorePair) -> None:
    delays = []
    async with following(pair.b, Dataset.LOG) as log:
        await log.until(lambda log: bool(log.batches))
        for i in range(50):
            begun = time.perf_counter()
            await pair.a.append(b"x", str(i))
            await log.until(lambda log, i=i: len(log.stored) == i + 1)  # type: ignore[misc]
            delays.append(time.perf_counter() - begun)
    assert sorted(delays)[25] < 0.05


async def test_follow_lost_connection_continues_without_gaps(pair: StorePair) -> None:
    async with following(pair.a, Dataset.LOG) as log, following(pair.a, Dataset.SERVERS) as servers:
        await appended(pair.b, b"one")
        revision = await pair.b.put(Dataset.SERVERS, "s", b"1", 0)
        await log.until(lambda log: len(log.stored) == 1)
        await servers.until(lambda servers: len(servers.stored) == 1)
        await pair.cut()
        await pair.heal()
        await appended(pair.b, b"two", b"three")
        await pair.b.put(Dataset.SERVERS, "s", b"2", revision)
        await log.until(lambda log: len(log.stored) >= 3)
        await servers.until(lambda servers: len(servers.stored) >= 2)
        assert log.values == [b"one", b"two", b"three"]
        assert servers.values == [b"1", b"2"]


async def test_publish_reaches_other_subscribers_in_order(pair: StorePair) -> None:
    ours: list[bytes] = []
    theirs: list[bytes] = []
    await pair.a.subscribe("news of 三", ours.append)
    await pair.b.subscribe("news of 三", theirs.append)
    await round_trips(pair)
    for i in range(100):
        pair.a.publish("news of 三", bytes([i]))
    pair.b.publish("news of 三", b"from b")
    pair.b.publish("other news", b"not received")
    await until(lambda: len(theirs) == 100 and len(ours) == 1)
    assert theirs == [bytes([i]) for i in range(100)]
    assert ours == [b"from b"]


async def test_request_returns_the_response(pair: StorePair) -> None:
    async def handle(request: bytes) -> bytes:
        await asyncio.sleep(0)
        return request + b"!"

    await pair.a.respond("echo", handle)
    await round_trips(pair)
    assert await pair.b.request("echo", b"so") == b"so!"


async def round_trips(pair: StorePair) -> None:
    """Wait until the server has processed both stores' subscriptions, which it does not confirm."""
    await asyncio.gather(*(store.get(Dataset.NODES, "absent") for store in (pair.a, pair.b)))


async def test_request_without_responder_raises_in_time(pair: StorePair) -> None:
    begun = time.perf_counter()
    with pytest.raises(StoreUnavailableError):
        await pair.a.request("echo", b"?")
    assert time.perf_counter() - begun < TIMEOUT_S + SLACK_S


async def test_request_slow_responder_raises_cut_off(pair: StorePair) -> None:
    async def handle(request: bytes) -> bytes:
        await asyncio.sleep(TIMEOUT_S + 1)
        return request

    await pair.a.respond("echo", handle)
    with pytest.raises(StoreUnavailableError):
        await pair.b.request("echo", b"?")


async def test_subscriptions_lost_connection_are_restored(pair: StorePair) -> None:
    received: list[bytes] = []

    async def handle(request: bytes) -> bytes:
        return request + b"!"

    await pair.a.subscribe("news", received.append)
    await pair.a.respond("echo", handle)
    await pair.cut()
    pair.a.publish("news", b"lost")
    await pair.heal()
    assert await pair.b.request("echo", b"so") == b"so!"
    pair.b.publish("news", b"again")
    await until(lambda: bool(received))
    assert received == [b"again"]


async def test_calls_while_cut_off_raise_in_time(pair: StorePair) -> None:
    async def handle(request: bytes) -> bytes:
        return request

    await pair.cut()
    begun = time.perf_counter()
    results = await asyncio.gather(
        pair.a.append(b"x", "x"),
        pair.a.put(Dataset.SERVERS, "s", b"x", 0),
        pair.a.get(Dataset.SERVERS, "s"),
        pair.a.request("echo", b"?"),
        pair.a.subscribe("news", lambda value: None),
        pair.a.respond("echo", handle),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StoreUnavailableError] * len(results)
    assert time.perf_counter() - begun < TIMEOUT_S + SLACK_S
