"""Faults of a server's queue and worker, and the actions of its users."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from typing_extensions import override

from statemachine.simulator import PROFILES
from statemachine.simulator.nodes import cache_workflow
from tests.faults.harness import faulty, watched
from tests.faults.proxy import Exchange, FaultProxy, Frame, Responder
from tests.faults.responses import hang
from tests.faults.table import Row
from tests.support.daemon import Json

STUCK_SOON = {"warm_timeout_s": 1}


def stall_with_a_user_job(proxy: FaultProxy) -> None:
    """Stall the worker with a user's prompt in the queue."""
    proxy.server.stall()
    proxy.server.start_foreign_job(1.0)


@asynccontextmanager
async def users(proxy: FaultProxy) -> AsyncIterator[None]:
    """Keep queueing users' prompts within the block."""

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


async def test_stalled_worker_is_reported_and_recovers(tmp_path: Path, expected: Row) -> None:
    """The worker resumes much later and runs the same prompt."""
    async with faulty(tmp_path, "stalling", timing=STUCK_SOON) as (harness, proxy):
        await harness.until_state("warming")
        async with users(proxy):
            await harness.until_read(expected)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_growing_queue_keeps_one_prompt(tmp_path: Path, expected: Row) -> None:
    """HTTP works and the queue only grows; it has one prompt of the daemon at any time."""
    timing = {**STUCK_SOON, "busy_wait_s": 0.3, "failed_retry_s": 0.5}
    async with faulty(tmp_path, timing=timing, prepare=stall_with_a_user_job) as (harness, proxy), users(proxy):
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 2)
        assert len(proxy.posts) == 1


async def test_history_cleared_after_the_prompt_is_checked(tmp_path: Path, expected: Row) -> None:
    """A user clears the history before the daemon has seen the end; the check decides."""

    def drop_prompt_frames(message: Json, text: str) -> Iterable[Frame]:
        return () if "prompt_id" in message["data"] else (text,)

    def clear_history(proxy: FaultProxy) -> None:
        proxy.server.process.queue.history = ClearedHistory()

    async with faulty(tmp_path, frame_filter=drop_prompt_frames, prepare=clear_history) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


class ClearedHistory(dict[str, Json]):
    """A history that a user clears after every prompt."""

    @override
    def __setitem__(self, key: str, value: Json) -> None:
        pass


async def test_pending_prompt_deleted_is_sent_again(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, timing={"busy_wait_s": 0}, prepare=stall_with_a_user_job) as (harness, proxy):
        await harness.until_state("warming")
        proxy.server.process.queue.delete(proxy.prompt_ids[0])
        await harness.until_read(expected)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2
        assert proxy.ended == proxy.prompt_ids[1:]


async def list_unreadable(exchange: Exchange) -> web.Response:
    """Replace each pending prompt by null."""
    listed: Json = json.loads(str((await exchange.forward()).text))
    return web.json_response({**listed, "queue_pending": [None for _ in listed["queue_pending"]]})


async def list_running(exchange: Exchange) -> web.Response:
    """List the running prompt only, as a gateway that holds the rest of the queue."""
    listed: Json = json.loads(str((await exchange.forward()).text))
    return web.json_response({**listed, "queue_pending": []})


INCOMPLETE_QUEUES: dict[str, Responder] = {"not-listed": list_running, "unreadable": list_unreadable}


@pytest.mark.parametrize("responder", INCOMPLETE_QUEUES.values(), ids=INCOMPLETE_QUEUES)
async def test_prompt_hidden_in_the_queue_is_not_sent_again(
    tmp_path: Path, expected: Row, responder: Responder
) -> None:
    """Our prompt waits behind a user's; only its count shows that it is there."""
    timing = {**STUCK_SOON, "busy_wait_s": 0, "failed_retry_s": 0.5}
    async with faulty(tmp_path, responders={"GET /queue": responder}, timing=timing, prepare=stall_with_a_user_job) as (
        harness,
        proxy,
    ):
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 2)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_queue_with_hidden_prompts_is_not_idle(tmp_path: Path, expected: Row) -> None:
    """A prompt that is not listed may load what is missing, so nothing is sent although the wait is over."""

    def two_users(proxy: FaultProxy) -> None:
        stall_with_a_user_job(proxy)
        proxy.queue_foreign(cache_workflow())

    async with faulty(
        tmp_path, responders={"GET /queue": list_running}, timing={"busy_wait_s": 0}, prepare=two_users
    ) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.requests["GET /queue"] >= 5)
        assert proxy.posts == []
        proxy.server.resume()
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_paused_queue_is_reported_and_recovers(tmp_path: Path, expected: Row) -> None:
    """An operator has paused the queue: our prompt waits while nothing runs."""

    def pause(proxy: FaultProxy) -> None:
        proxy.server.process.queue.pause()

    async with faulty(tmp_path, timing=STUCK_SOON, prepare=pause) as (harness, proxy):
        await harness.until_read(expected)
        proxy.server.process.queue.unpause()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


SILENT_ROUTES = {"queue": "GET /queue", "object-info": "GET /object_info/PulidFluxModelLoader"}


@pytest.mark.parametrize("route", SILENT_ROUTES.values(), ids=SILENT_ROUTES)
async def test_route_without_an_answer_is_named(tmp_path: Path, expected: Row, route: str) -> None:
    """The other routes answer, so the server stays cold; the state names the obstacle once."""
    async with faulty(tmp_path, responders={route: hang}, timing={"http_timeout_s": 0.4}) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.requests[route] >= 5)
        assert (await harness.transitions("faulty")).count(("cold", "queue_unanswered")) == 1
        del proxy.responders[route]
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_queue_without_an_answer_holds_no_permit(tmp_path: Path, expected: Row) -> None:
    """Only one warm-up is allowed, and another server needs it."""
    proxy, other = FaultProxy(PROFILES["cold"]), FaultProxy(PROFILES["cold"])
    proxy.responders["GET /queue"] = hang
    async with proxy.listening(), other.listening():
        stall_with_a_user_job(other)
        limits, timing = {"max_warming": 1}, {"http_timeout_s": 30}
        async with watched(
            tmp_path, proxy.url, {"url": other.url, "name": "other"}, limits=limits, timing=timing
        ) as harness:
            await harness.until(lambda _: proxy.requests["GET /queue"])
            await harness.until_read(expected)
            other.server.resume()
            await harness.wait_for_state("other", "loaded")
            assert proxy.posts == []


async def test_history_behind_the_success_is_awaited(tmp_path: Path, expected: Row) -> None:
    """The history has the prompt 0.5 s after its success frame."""
    profile = replace(PROFILES["stock"], missing_classes=frozenset(), history_lag=50.0)
    async with faulty(tmp_path, profile, cache_check={"kind": "history"}) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_prompt_interrupted_is_sent_again(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        proxy.server.interrupt()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_queue_that_never_drains_gets_the_prompt(tmp_path: Path, expected: Row) -> None:
    """After busy_wait_s the prompt is queued behind the others."""
    async with faulty(tmp_path, timing={"busy_wait_s": 0.5}, prepare=stall_with_a_user_job) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1
        proxy.server.resume()
        await harness.until_state("loaded")


async def test_history_of_another_format_is_not_needed(tmp_path: Path, expected: Row) -> None:
    """The /history of a fork is a list; the prompt's frames report its end."""

    async def forked(_: Exchange) -> web.Response:
        return web.json_response([])

    async with faulty(tmp_path, responders={"GET /history": forked}) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
