"""The server's own queue and worker, and what other people do to them."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from typing_extensions import override

from statemachine.simulator import PERSONAS
from statemachine.simulator.nodes import cache_workflow
from tests.faults.harness import Harness, faulty, nothing_posted_twice, watched
from tests.faults.proxy import Exchange, FaultProxy, Frame
from tests.faults.table import Row
from tests.faults.valve import Valve
from tests.support.daemon import Json

STUCK_SOON = {"warm_timeout_s": 1}


def stands_still(proxy: FaultProxy) -> None:
    """The worker takes up nothing, and a user's job waits."""
    proxy.server.stall()
    proxy.server.start_foreign_job(1.0)


@asynccontextmanager
async def users(proxy: FaultProxy) -> AsyncIterator[None]:
    """They go on queueing jobs."""

    async def queue() -> None:
        for _ in range(300):
            proxy.server.start_foreign_job(0.01)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(queue())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_worker_stands_still(tmp_path: Path, expected: Row) -> None:
    """It goes on much later, and then our prompt is still the one that counts."""
    async with faulty(tmp_path, "stalling", timing=STUCK_SOON) as (harness, proxy):
        await harness.until_state("warming")
        async with users(proxy):
            await harness.until_read(expected)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_zombie_worker(tmp_path: Path, expected: Row) -> None:
    """HTTP answers, the queue only grows: ours waits in it once, however long."""
    timing = {**STUCK_SOON, "busy_wait_s": 0.3, "failed_retry_s": 0.5}
    async with faulty(tmp_path, timing=timing, prepare=stands_still) as (harness, proxy), users(proxy):
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 2)
        assert len(proxy.posts) == 1


async def test_history_cleared(tmp_path: Path, expected: Row) -> None:
    """A user clears the history before we hear of the end; the check knows what came of it."""

    def silent(message: Json, text: str) -> Iterable[Frame]:
        return () if "prompt_id" in message["data"] else (text,)

    def forgets(proxy: FaultProxy) -> None:
        proxy.server.process.queue.history = Forgetful()

    async with faulty(tmp_path, frame_filter=silent, prepare=forgets) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


class Forgetful(dict[str, Json]):
    """A history that somebody clears after every prompt."""

    @override
    def __setitem__(self, key: str, value: Json) -> None:
        """Gone at once."""


async def test_pending_prompt_deleted(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, timing={"busy_wait_s": 0}, prepare=stands_still) as (harness, proxy):
        await harness.until_state("warming")
        proxy.server.process.queue.delete(proxy.prompt_ids[0])
        await harness.until_read(expected)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2
        assert proxy.ended == proxy.prompt_ids[1:]


async def test_interrupted(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        proxy.server.interrupt()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_somebody_else_loads_the_keys(tmp_path: Path, expected: Row) -> None:
    """A user has queued a workflow that sets the very same keys: it is waited for."""

    def queued(proxy: FaultProxy) -> None:
        proxy.server.stall()
        proxy.queue_foreign(cache_workflow())

    async with faulty(tmp_path, timing={"busy_wait_s": 0}, prepare=queued) as (harness, proxy):
        await harness.until_read(expected)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_server_loads_by_itself(tmp_path: Path, expected: Row) -> None:
    """The check has a side effect there: it is asked once, and not again while the queue is busy."""
    async with faulty(tmp_path, "auto_executing", scale=0.1) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert proxy.posts == []
        assert proxy.server.own_workflows == 1


async def test_own_loading_never_helps(tmp_path: Path, expected: Row) -> None:
    """The server's own workflow runs dry and brings nothing: it is started ever less often."""
    async with faulty(tmp_path, "auto_executing", timing={"check_interval_s": 2}, prepare=keeps_nothing) as (
        harness,
        proxy,
    ):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.server.own_workflows >= 5)
        assert proxy.posts == []


def keeps_nothing(proxy: FaultProxy) -> None:
    """Whatever is cached there is gone at once."""
    proxy.server.process.keys = Keyless()


class Keyless(dict[str, str]):
    """A cache that keeps nothing."""

    @override
    def __setitem__(self, key: str, value: str) -> None:
        """Gone at once."""


async def test_users_without_a_pause(tmp_path: Path, expected: Row) -> None:
    """The queue never drains: after busy_wait_s ours is put behind the others."""
    async with faulty(tmp_path, timing={"busy_wait_s": 0.5}, prepare=stands_still) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1
        proxy.server.resume()
        await harness.until_state("loaded")


PERSONA_FAULTS = {
    "node-raises": ("raising", 1),
    "out-of-memory": ("out_of_memory", 1),
    "missing-nodes": ("missing_nodes", 0),
    "missing-models": ("missing_models", 0),
    "locked": ("locked", 0),
}


@pytest.mark.parametrize(("persona", "posts"), PERSONA_FAULTS.values(), ids=PERSONA_FAULTS)
async def test_diagnosed(tmp_path: Path, expected: Row, persona: str, posts: int) -> None:
    async with faulty(tmp_path, persona) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == posts


async def test_cached_without_loading(tmp_path: Path, expected: Row) -> None:
    """The keys are gone while the executor still holds the nodes that set them."""

    def cached_by_executor(proxy: FaultProxy) -> None:
        proxy.server.drop_keys(keep_executor=True)

    async with faulty(tmp_path, "loaded", prepare=cached_by_executor) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_keys_never_stay(tmp_path: Path, expected: Row) -> None:
    """Our prompt succeeds, and its keys are gone at once, again and again: it is given up, not repeated for ever."""
    async with faulty(tmp_path, prepare=keeps_nothing) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("failed")
        assert len(proxy.posts) == 3


async def test_evicted_by_users(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "loaded", timing={"check_interval_s": 8}) as (harness, proxy):
        # The job must end before the interval check finds the models gone: 8 s for 0.3 s, on any machine.
        await harness.until(lambda detail: detail["state"] == "loaded" and detail["link"]["connected"])
        proxy.server.start_foreign_job(0.3)
        proxy.server.drop_keys(keep_executor=False)
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.ended)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_restarted_while_warming(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        await proxy.server.go_down()
        await harness.until_state("unreachable")
        await proxy.server.come_back()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_restarted_at_once(tmp_path: Path, expected: Row) -> None:
    """So quickly that no request failed: queue, history and keys are gone all the same."""
    async with faulty(tmp_path, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        await proxy.server.restart()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_most_of_the_fleet_vanishes(tmp_path: Path, expected: Row) -> None:
    """Six of seven servers fall silent at once, which is probably the daemon's own network: no verdict is changed."""
    proxy = FaultProxy(PERSONAS["loaded"])
    async with proxy.listening(), Valve(proxy.url) as valve:
        others = [valve.url.replace("127.0.0.1", f"127.0.0.{n}") for n in range(2, 7)]
        async with watched(tmp_path, valve.url, *others, timing={"http_timeout_s": 0.4}) as harness:
            for name in ["faulty", *(url.removeprefix("http://") for url in others)]:
                await harness.wait_for_state(name, "loaded")
            valve.shut()
            await harness.until(lambda _: "fleet_vanished" in harness.notices)
            await still_loaded(harness)
            valve.reopen()
            await harness.until_read(expected)
            await harness.until_state("loaded")
            assert proxy.posts == []
        nothing_posted_twice(proxy)


async def still_loaded(harness: Harness) -> None:
    """Nobody has been declared unreachable."""
    status = await harness.get("/api/status")
    assert "unreachable" not in status["states"]


async def test_history_of_another_shape(tmp_path: Path, expected: Row) -> None:
    """Some fork's /history is a list: our prompt's frames still tell its end."""

    async def forked(_: Exchange) -> web.Response:
        return web.json_response([])

    async with faulty(tmp_path, responders={"GET /history": forked}) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
