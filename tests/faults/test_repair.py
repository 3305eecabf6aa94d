"""Restarts by a hook: what the hook, the server and the daemon may do wrong, and what may not be touched by it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from statemachine.simulator import SimServer
from statemachine.simulator.nodes import users_job
from tests.faults.harness import Harness, faulty
from tests.faults.hooks import HookProgram
from tests.faults.proxy import Exchange, FaultProxy
from tests.faults.responses import times
from tests.faults.table import Row
from tests.support.daemon import Json
from tests.support.polling import wait_until

RESTART = "/api/servers/faulty/restart"
AUTO = {"kind": "auto"}
AWAY_S = 1.0
"""Longer than the requests that notice it take."""


@asynccontextmanager
async def restarting(hook: HookProgram, server: SimServer) -> AsyncIterator[None]:
    """Restart the simulated server once the hook has run, as the hook itself would."""

    async def follow() -> None:
        await wait_until(lambda: hook.servers)
        await server.go_down()
        await asyncio.sleep(AWAY_S)
        await server.come_back()

    task = asyncio.create_task(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_ended(harness: Harness) -> Json:
    """Wait until the restart of the faulty server has ended; return it."""
    detail = await harness.until(lambda one: (one["restart"] or {}).get("ended_at"))
    restart: Json = detail["restart"]
    return restart


async def test_restart_drains_runs_its_hook_once_and_warms(tmp_path: Path, expected: Row) -> None:
    """A user's prompt finishes first, and nothing else is sent meanwhile."""
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, scale=0.05, restart=hook.settings()) as (harness, proxy):
        await harness.until_state("loaded")
        proxy.queue_foreign(users_job("user", 1.0))
        async with restarting(hook, proxy.server):
            assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
            await harness.until_state("draining")
            assert hook.servers == []
            await harness.until_read(expected)
            restart = await until_ended(harness)
    assert (restart["stage"], restart["cause"], hook.servers) == ("succeeded", "operator", ["faulty"])
    assert len(proxy.posts) == 2


@pytest.mark.parametrize(
    ("then", "keys"),
    [
        ("print('no such unit'); sys.exit(3)", {}),
        ("time.sleep(60)", {"hook_timeout_s": 1}),
        ("os.kill(os.getpid(), 9)", {}),
    ],
    ids=["status", "hangs", "killed"],
)
async def test_hook_that_fails_is_not_repeated(tmp_path: Path, expected: Row, then: str, keys: Json) -> None:
    hook = HookProgram(tmp_path, then)
    async with faulty(tmp_path, "loaded", restart=hook.settings(**keys)) as (harness, proxy):
        await harness.until_state("loaded")
        assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
        await harness.until_read(expected)
        assert (await until_ended(harness))["stage"] == "failed"
    assert hook.servers == ["faulty"]
    assert proxy.posts == []


async def test_hook_that_cannot_be_started_is_failed(tmp_path: Path, expected: Row) -> None:
    settings = {"command": [str(tmp_path / "missing")]}
    async with faulty(tmp_path, "loaded", restart=settings) as (harness, _):
        await harness.until_state("loaded")
        assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
        await harness.until_read(expected)


async def test_hook_that_restarts_another_server_is_failed(tmp_path: Path, expected: Row) -> None:
    """The hook succeeds, and the history shows that this is the same process."""
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, restart=hook.settings(return_timeout_s=1)) as (harness, _):
        await harness.until_state("loaded")
        assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
        await harness.until_read(expected)
    assert hook.servers == ["faulty"]


async def test_server_that_never_returns_is_failed(tmp_path: Path, expected: Row) -> None:
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, "loaded", restart=hook.settings(return_timeout_s=1)) as (harness, proxy):
        await harness.until_state("loaded")
        assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
        await wait_until(lambda: hook.servers)
        await proxy.server.go_down()
        await harness.until_read(expected)
    assert hook.servers == ["faulty"]


async def test_server_that_returns_without_plugins_is_failed(tmp_path: Path, expected: Row) -> None:
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, "node", cache_check=AUTO, restart=hook.settings()) as (harness, proxy):
        await harness.until_state("loaded")
        async with restarting(hook, proxy.server):
            proxy.server.lose_plugins()
            assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
            await harness.until_read(expected)
            assert (await until_ended(harness))["reason"] == "missing_nodes"
    assert hook.servers == ["faulty"]


async def test_server_that_is_not_drained_in_time_is_put_back(tmp_path: Path, expected: Row) -> None:
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, "loaded", restart=hook.settings(drain_timeout_s=0.5)) as (harness, proxy):
        await harness.until_state("loaded")
        proxy.queue_foreign(users_job("user", 5.0))
        assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
        await harness.until_read(expected)
        assert (await until_ended(harness))["reason"] == "drain_timed_out"
    assert hook.servers == []


async def hang(exchange: Exchange) -> web.StreamResponse:
    """Receive the prompt, and never answer nor queue it."""
    return await exchange.hang()


async def test_warm_up_that_never_arrived_does_not_hold_up_draining(tmp_path: Path, expected: Row) -> None:
    """The prompt is neither in the queue nor in the history; several looks confirm that."""
    hook = HookProgram(tmp_path)
    responders = {"POST /prompt": times(1, hang)}
    async with faulty(tmp_path, responders=responders, restart=hook.settings(drain_timeout_s=5)) as (harness, proxy):
        await harness.until_state("submitting")
        async with restarting(hook, proxy.server):
            assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
            await harness.until_read(expected)
            assert (await until_ended(harness))["stage"] == "succeeded"
    assert hook.servers == ["faulty"]


async def test_idle_server_is_drained_however_short_the_limit(tmp_path: Path, expected: Row) -> None:
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, "loaded", restart=hook.settings(drain_timeout_s=0)) as (harness, proxy):
        await harness.until_state("loaded")
        async with restarting(hook, proxy.server):
            assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
            await harness.until_read(expected)
    assert hook.servers == ["faulty"]


async def test_draining_is_cancelled_by_resume(tmp_path: Path, expected: Row) -> None:
    hook = HookProgram(tmp_path)
    async with faulty(tmp_path, "loaded", restart=hook.settings()) as (harness, proxy):
        await harness.until_state("loaded")
        proxy.queue_foreign(users_job("user", 5.0))
        assert await harness.post(RESTART) == HTTPStatus.ACCEPTED
        await harness.until_state("draining")
        assert await harness.post("/api/servers/faulty/resume") == HTTPStatus.ACCEPTED
        await harness.until_read(expected)
        assert (await until_ended(harness))["stage"] == "cancelled"
    assert hook.servers == []


async def test_dead_worker_is_diagnosed_and_repaired(tmp_path: Path, expected: Row) -> None:
    """The server needs no warm-up; a user's prompt is accepted and never run."""
    hook = HookProgram(tmp_path)
    settings: dict[str, Any] = {
        "cache_check": AUTO,
        "timing": {"warm_timeout_s": 2},
        "restart": hook.settings(when_stuck=True),
    }
    async with faulty(tmp_path, "node", **settings) as (harness, proxy):
        await harness.until_state("loaded")
        async with restarting(hook, proxy.server):
            lose_worker(proxy)
            await harness.until_read(expected)
            restart = await until_ended(harness)
    assert (restart["stage"], restart["cause"], hook.servers) == ("succeeded", "queue_stuck", ["faulty"])


async def test_restart_of_a_dead_worker_waits_for_gateways(tmp_path: Path, expected: Row) -> None:
    """A gateway deletes its waiting prompt from the queue, to send it to another server; then the hook runs."""
    hook = HookProgram(tmp_path)
    settings: dict[str, Any] = {"cache_check": AUTO, "timing": {"warm_timeout_s": 2}}
    async with faulty(tmp_path, "node", **settings, restart=hook.settings(when_stuck=True)) as (harness, proxy):
        await harness.until_state("loaded")
        lose_worker(proxy)
        waiting = proxy.queue_foreign(users_job("waiting", 0.1), comfywarm_gateway={"prompt": "waiting"})
        await harness.until_read(expected)
        looks = proxy.requests["GET /queue"]
        await wait_until(lambda: proxy.requests["GET /queue"] > looks + 2)
        assert hook.servers == []
        proxy.server.process.queue.delete(waiting)
        await wait_until(lambda: hook.servers)
        assert proxy.server.process.queue.remaining


def lose_worker(proxy: FaultProxy) -> None:
    """End the worker and let a user send prompts."""
    proxy.server.lose_worker()
    for name in ("one", "two"):
        proxy.queue_foreign(users_job(name, 0.1))


async def test_stuck_server_is_failed_at_the_limit_of_a_day(tmp_path: Path, expected: Row) -> None:
    hook = HookProgram(tmp_path)
    keys = {"when_stuck": True, "max_per_day": 1, "min_pause": "1s"}
    async with faulty(tmp_path, "node", timing={"warm_timeout_s": 2}, restart=hook.settings(**keys)) as (
        harness,
        proxy,
    ):
        await harness.until_state("loaded")
        async with restarting(hook, proxy.server):
            lose_worker(proxy)
            assert (await until_ended(harness))["stage"] == "succeeded"
        lose_worker(proxy)
        await harness.until_read(expected)
    assert hook.servers == ["faulty"]


async def test_host_short_of_memory_is_restarted(tmp_path: Path, expected: Row) -> None:
    hook, keys = HookProgram(tmp_path), {"max_ram_percent": 90}
    async with faulty(tmp_path, timing={"warm_timeout_s": 2}, restart=hook.settings(**keys)) as (harness, proxy):
        await harness.until_state("loaded")
        async with restarting(hook, proxy.server):
            proxy.server.ram_free = 2**30
            await wait_until(lambda: hook.servers)
            proxy.server.ram_free = 96 * 2**30
            await harness.until_read(expected)
            assert (await until_ended(harness))["cause"] == "memory"
