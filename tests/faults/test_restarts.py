"""Faults of a server's process: restarts, ends under the work, and other servers at the same address."""

import json
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.simulator import PROFILES
from tests.faults.harness import Harness, assert_no_duplicate_posts, faulty, watched
from tests.faults.proxy import Exchange, FaultProxy
from tests.faults.responses import times
from tests.faults.table import Row
from tests.faults.valve import Valve


async def accept_elsewhere(exchange: Exchange) -> web.Response:
    """Accept the prompt for another server at the same address, which this one does not see."""
    return web.json_response({"prompt_id": json.loads(exchange.body)["prompt_id"], "number": 1, "node_errors": {}})


async def test_prompt_accepted_by_another_server_is_named(tmp_path: Path, expected: Row) -> None:
    """A load balancer sends the POST to one server and the lookups to another."""
    async with faulty(
        tmp_path, responders={"POST /prompt": times(1, accept_elsewhere)}, timing={"warm_timeout_s": 1}
    ) as (
        harness,
        proxy,
    ):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


@pytest.mark.parametrize("is_noticed", [True, False], ids=["away", "quick"])
async def test_queue_restored_after_a_restart_is_awaited(tmp_path: Path, expected: Row, is_noticed: bool) -> None:
    """A plug-in restores the queue 1 s after the start, while our prompt seems to be lost."""
    profile = replace(PROFILES["cold"], restore_after=10.0)
    async with faulty(tmp_path, profile, timing={"lost_grace_s": 5}, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        await proxy.server.go_down()
        if is_noticed:
            await harness.until_state("unreachable")
        await proxy.server.come_back()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_restart_during_a_warm_up_is_recovered(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        await proxy.server.go_down()
        await harness.until_state("unreachable")
        await proxy.server.come_back()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_restart_without_a_failed_request_is_detected(tmp_path: Path, expected: Row) -> None:
    """The restart loses queue, history and keys although no request failed."""
    async with faulty(tmp_path, scale=0.1) as (harness, proxy):
        await harness.until_state("warming")
        await proxy.server.restart()
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_server_that_ends_under_each_warm_up_is_failed(tmp_path: Path, expected: Row) -> None:
    """A supervisor restarts the process; the daemon stops after three warm-ups, and a check starts no other."""
    async with faulty(tmp_path, "dying", scale=0.05) as (harness, proxy):
        await harness.until_read(expected)
        assert await harness.post("/api/servers/faulty/check") == HTTPStatus.ACCEPTED
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 2)
        assert len(proxy.posts) == 3


async def end_process(exchange: Exchange) -> web.StreamResponse:
    """End the process before it answers; a supervisor restarts it."""
    await exchange.proxy.server.go_down()
    await exchange.proxy.server.come_back()
    return await exchange.reset()


async def test_server_that_ends_at_each_post_is_failed(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, responders={"POST /prompt": end_process}) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 3


async def wait_until_loaded(harness: Harness, count: int) -> None:
    """Wait until the server has become loaded so many times."""
    await harness.until(lambda detail: detail["counters"].get("to_loaded", 0) == count)


async def test_server_that_ends_soon_after_each_loading_is_contested(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path) as (harness, proxy):
        for count in (1, 2):
            await wait_until_loaded(harness, count)
            await proxy.server.go_down()
            await proxy.server.come_back()
        await harness.until_read(expected)
        await harness.until_state("loaded")


async def test_server_that_ends_when_it_loads_by_itself_is_failed(tmp_path: Path, expected: Row) -> None:
    """A check makes the server load; the daemon stops checking after three ends that its probes have seen."""
    profile = replace(PROFILES["dying_by_itself"], down_seconds=30.0)
    async with faulty(tmp_path, profile, scale=0.05) as (harness, proxy):
        await harness.until_read(expected)
        assert await harness.post("/api/servers/faulty/check") == HTTPStatus.ACCEPTED
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 2)
        assert (proxy.server.own_workflows, len(proxy.posts)) == (3, 0)


async def test_outage_of_most_servers_changes_no_state(tmp_path: Path, expected: Row) -> None:
    """Six of seven servers stop answering at once, probably because of the daemon's network."""
    proxy = FaultProxy(PROFILES["loaded"])
    async with proxy.listening(), Valve(proxy.url) as valve:
        others = [valve.url.replace("127.0.0.1", f"127.0.0.{n}") for n in range(2, 7)]
        async with watched(tmp_path, valve.url, *others, timing={"http_timeout_s": 0.4}) as harness:
            for name in ["faulty", *(url.removeprefix("http://") for url in others)]:
                await harness.wait_for_state(name, "loaded")
            valve.close()
            await harness.until(lambda _: "fleet_vanished" in harness.notices)
            await assert_none_unreachable(harness)
            valve.reopen()
            await harness.until_read(expected)
            await harness.until_state("loaded")
            assert proxy.posts == []
        assert_no_duplicate_posts(proxy)


async def assert_none_unreachable(harness: Harness) -> None:
    """Assert that no server is unreachable."""
    status = await harness.get("/api/status")
    assert "unreachable" not in status["states"]
