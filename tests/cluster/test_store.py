"""What every shared store does: the one over a real NATS server, and the one that simulations use."""

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
from statemachine.cluster.store import Batch, ConflictError, CutOffError, Dataset, Kept, SharedStore
from tests.cluster.fake_store import FakeEngine
from tests.cluster.following import following, until
from tests.cluster.nats_rig import nats_rig

TIMEOUT_S = 1.0
ODD_KEYS = ["192.0.2.1:8188", "GPU 1", "显卡 三号", "a.b..c", "*", ">", "~=%", "x" * 200]


@dataclass
class Stage:
    """Two nodes at one engine. `cut` ends once node `a` is cut off, `heal` once it no longer is."""

    a: SharedStore
    b: SharedStore
    cut: Callable[[], Awaitable[None]]
    heal: Callable[[], Awaitable[None]]


@asynccontextmanager
async def fake_stage(_: Path) -> AsyncIterator[Stage]:
    engine = FakeEngine(latency=lambda: 0.001)

    async def cut() -> None:
        engine.cut("a")

    async def heal() -> None:
        engine.heal("a")

    yield Stage(engine.store("a", TIMEOUT_S), engine.store("b", TIMEOUT_S), cut, heal)


@asynccontextmanager
async def nats_stage(folder: Path) -> AsyncIterator[Stage]:
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

        yield Stage(a, b, cut, heal)


@pytest.fixture(params=[fake_stage, nats_stage], ids=["fake", "nats"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with request.param(tmp_path) as stage:
        yield stage


async def appended(store: SharedStore, *values: bytes) -> list[int]:
    return [await store.append(value, value.decode()) for value in values]


async def test_the_log_numbers_without_gaps_and_knows_what_it_has(stage: Stage) -> None:
    assert await appended(stage.a, b"one", b"two") == [1, 2]
    assert await stage.b.append(b"two again", "two") == 2
    assert await appended(stage.b, b"three") == [3]
    async with following(stage.a, Dataset.LOG) as log:
        await log.until(lambda log: len(log.kept) == 3)
    assert log.kept == [Kept("", b"one", 1), Kept("", b"two", 2), Kept("", b"three", 3)]


async def test_both_know_the_same_lineage(stage: Stage) -> None:
    assert stage.a.lineage == stage.b.lineage
    assert 0 < stage.a.lineage < 2**31


async def test_a_key_changes_only_from_what_was_expected(stage: Stage) -> None:
    first = await stage.a.put(Dataset.SERVERS, "s", b"1", 0)
    with pytest.raises(ConflictError):
        await stage.b.put(Dataset.SERVERS, "s", b"no", 0)
    second = await stage.b.put(Dataset.SERVERS, "s", b"2", first)
    with pytest.raises(ConflictError):
        await stage.a.put(Dataset.SERVERS, "s", b"no", first)
    assert second > first
    assert await stage.a.get(Dataset.SERVERS, "s") == Kept("s", b"2", second)


async def test_a_key_that_is_not_there_yet_cannot_be_replaced(stage: Stage) -> None:
    assert await stage.a.get(Dataset.NODES, "n") is None
    with pytest.raises(ConflictError):
        await stage.a.put(Dataset.NODES, "n", b"no", 7)


async def test_of_racers_one_wins(stage: Stage) -> None:
    stores = [stage.a, stage.b] * 5
    results = await asyncio.gather(
        *(store.put(Dataset.SHARED, "k", bytes([i]), 0) for i, store in enumerate(stores)), return_exceptions=True
    )
    winners = [i for i, result in enumerate(results) if isinstance(result, int)]
    assert len(winners) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == len(stores) - 1
    kept = await stage.b.get(Dataset.SHARED, "k")
    assert kept is not None
    assert kept.value == bytes(winners)


async def test_buckets_are_apart(stage: Stage) -> None:
    for dataset in (Dataset.NODES, Dataset.SERVERS, Dataset.SHARED):
        assert await stage.a.put(dataset, "k", dataset.encode(), 0) == 1


async def test_any_text_is_a_key(stage: Stage) -> None:
    for key in ODD_KEYS:
        await stage.a.put(Dataset.SERVERS, key, key.encode(), 0)
    for key in ODD_KEYS:
        kept = await stage.b.get(Dataset.SERVERS, key)
        assert kept is not None
        assert (kept.key, kept.value) == (key, key.encode())
    async with following(stage.b, Dataset.SERVERS) as servers:
        await servers.until(lambda servers: len(servers.kept) == len(ODD_KEYS))
    assert [kept.key for kept in servers.kept] == ODD_KEYS


@given(st.text(min_size=1))
def test_keys_come_back_from_subjects(key: str) -> None:
    assert decode(encode(key)) == key
    assert set(encode(key)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=")


async def test_an_empty_source_says_so(stage: Stage) -> None:
    async with following(stage.a, Dataset.LOG) as log:
        await log.until(lambda log: len(log.batches) == 1)
        assert log.batches == [Batch([], caught_up=True)]
        await appended(stage.b, b"one")
        await log.until(lambda log: log.values == [b"one"])
        assert log.batches[-1].caught_up


async def test_nothing_new_says_so_too(stage: Stage) -> None:
    await appended(stage.a, b"one", b"two")
    async with following(stage.b, Dataset.LOG, after=2) as log:
        await log.until(lambda log: len(log.batches) == 1)
    assert log.batches == [Batch([], caught_up=True)]


async def test_following_begins_in_the_middle(stage: Stage) -> None:
    await appended(stage.a, b"one", b"two", b"three")
    async with following(stage.b, Dataset.LOG, after=1) as log:
        await log.until(lambda log: len(log.kept) == 2)
    assert log.kept == [Kept("", b"two", 2), Kept("", b"three", 3)]


async def test_only_the_last_of_many_is_caught_up(stage: Stage) -> None:
    values = [str(i).encode() for i in range(2000)]
    for start in range(0, len(values), 100):
        await asyncio.gather(*(stage.a.append(value, value.decode()) for value in values[start : start + 100]))
    async with following(stage.b, Dataset.LOG) as log:
        await log.until(lambda log: len(log.kept) == len(values))
    assert sorted(log.values) == sorted(values)
    assert [batch.caught_up for batch in log.batches] == [False] * (len(log.batches) - 1) + [True]
    assert len(log.batches) > 1


async def test_a_bucket_keeps_the_newest(stage: Stage) -> None:
    revision = await stage.a.put(Dataset.SERVERS, "s", b"old", 0)
    await stage.a.put(Dataset.SERVERS, "t", b"t", 0)
    await stage.a.put(Dataset.SERVERS, "s", b"new", revision)
    async with following(stage.b, Dataset.SERVERS) as servers:
        await servers.until(lambda servers: len(servers.kept) >= 2)
        assert servers.kept == [Kept("t", b"t", 2), Kept("s", b"new", 3)]
        assert servers.batches[-1].caught_up


async def test_what_is_written_is_followed_at_once(stage: Stage) -> None:
    delays = []
    async with following(stage.b, Dataset.LOG) as log:
        await log.until(lambda log: bool(log.batches))
        for i in range(50):
            begun = time.perf_counter()
            await stage.a.append(b"x", str(i))
            await log.until(lambda log, i=i: len(log.kept) == i + 1)  # type: ignore[misc]
            delays.append(time.perf_counter() - begun)
    assert sorted(delays)[25] < 0.05


async def test_following_outlives_an_interruption(stage: Stage) -> None:
    async with following(stage.a, Dataset.LOG) as log, following(stage.a, Dataset.SERVERS) as servers:
        await appended(stage.b, b"one")
        revision = await stage.b.put(Dataset.SERVERS, "s", b"1", 0)
        await log.until(lambda log: len(log.kept) == 1)
        await servers.until(lambda servers: len(servers.kept) == 1)
        await stage.cut()
        await asyncio.sleep(0.3)
        await stage.heal()
        await appended(stage.b, b"two", b"three")
        await stage.b.put(Dataset.SERVERS, "s", b"2", revision)
        await log.until(lambda log: len(log.kept) >= 3)
        await servers.until(lambda servers: len(servers.kept) >= 2)
        assert log.values == [b"one", b"two", b"three"]
        assert servers.values == [b"1", b"2"]


async def test_words_are_heard_by_the_others(stage: Stage) -> None:
    ours: list[bytes] = []
    theirs: list[bytes] = []
    await stage.a.hear("news of 三", ours.append)
    await stage.b.hear("news of 三", theirs.append)
    for i in range(100):
        stage.a.tell("news of 三", bytes([i]))
    stage.b.tell("news of 三", b"from b")
    stage.b.tell("other news", b"not heard")
    await until(lambda: len(theirs) == 100 and len(ours) == 1)
    assert theirs == [bytes([i]) for i in range(100)]
    assert ours == [b"from b"]


async def test_a_question_is_answered(stage: Stage) -> None:
    async def answered(question: bytes) -> bytes:
        await asyncio.sleep(0)
        return question + b"!"

    await stage.a.answer("what", answered)
    assert await stage.b.ask("what", b"so") == b"so!"


async def test_questions_that_nobody_answers(stage: Stage) -> None:
    begun = time.perf_counter()
    with pytest.raises(CutOffError):
        await stage.a.ask("what", b"?")
    assert time.perf_counter() - begun < TIMEOUT_S + 0.5


async def test_an_answer_that_takes_too_long(stage: Stage) -> None:
    async def answered(question: bytes) -> bytes:
        await asyncio.sleep(TIMEOUT_S + 1)
        return question

    await stage.a.answer("what", answered)
    with pytest.raises(CutOffError):
        await stage.b.ask("what", b"?")


async def test_words_and_questions_outlive_an_interruption(stage: Stage) -> None:
    heard: list[bytes] = []

    async def answered(question: bytes) -> bytes:
        return question + b"!"

    await stage.a.hear("news", heard.append)
    await stage.a.answer("what", answered)
    await stage.cut()
    stage.a.tell("news", b"lost")
    await asyncio.sleep(0.1)
    await stage.heal()
    assert await stage.b.ask("what", b"so") == b"so!"
    stage.b.tell("news", b"again")
    await until(lambda: bool(heard))
    assert heard == [b"again"]


async def test_every_call_ends_in_time_when_cut_off(stage: Stage) -> None:
    async def answered(question: bytes) -> bytes:
        return question

    await stage.cut()
    begun = time.perf_counter()
    results = await asyncio.gather(
        stage.a.append(b"x", "x"),
        stage.a.put(Dataset.SERVERS, "s", b"x", 0),
        stage.a.get(Dataset.SERVERS, "s"),
        stage.a.ask("what", b"?"),
        stage.a.hear("news", lambda value: None),
        stage.a.answer("what", answered),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [CutOffError] * len(results)
    assert time.perf_counter() - begun < TIMEOUT_S + 0.5
