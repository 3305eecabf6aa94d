"""Faults of /ws: the check decides what a server has cached, with or without the link."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.simulator import PROFILES
from tests.faults.frames import RESERVED, status, wire
from tests.faults.harness import Harness, assert_no_duplicate_posts, faulty, watched
from tests.faults.proxy import Exchange, FaultProxy, Responder
from tests.faults.responses import hang, respond_with, write_bytes
from tests.faults.table import Row
from tests.faults.valve import Valve
from tests.support.polling import PATIENCE_S

WS = "GET /ws"
MIB = 2**20
COUNTED_S = 1.2
MAX_CONNECTIONS = 8
"""Limit within COUNTED_S; the backoff doubles from 0.25 s to link_backoff_max_s, here 0.5 s."""


async def accept_and_close(exchange: Exchange) -> web.WebSocketResponse:
    """Accept the connection and close it, like a proxy without a backend."""
    ws = web.WebSocketResponse()
    await ws.prepare(exchange.request)
    await ws.close()
    return ws


async def send_status_and_close(exchange: Exchange) -> web.WebSocketResponse:
    """Accept the connection, send `status` and close it."""
    ws = web.WebSocketResponse()
    await ws.prepare(exchange.request)
    await ws.send_str(status(0))
    await ws.close()
    return ws


async def mute(exchange: Exchange) -> web.WebSocketResponse:
    """Accept the connection and send nothing."""
    ws = web.WebSocketResponse()
    await ws.prepare(exchange.request)
    async for _ in ws:
        pass
    return ws


NO_LINK: dict[str, Responder] = {
    "refused-403": respond_with(b"", 403),
    "absent-404": respond_with(b"", 404),
    "answered-200": respond_with("<html></html>", content_type="text/html"),
    "redirected-302": respond_with(b"", 302, Location="/login"),
    "proxy-502": respond_with(b"", 502),
    "tunnel-530": respond_with("error code: 1033", 530),
    "not-http": write_bytes(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "wrong-accept-key": write_bytes(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBrZXk=\r\n\r\n"
    ),
    "handshake-hangs": hang,
    "accepts-and-closes": accept_and_close,
    "mute": mute,
}


@pytest.mark.parametrize("responder", NO_LINK.values(), ids=NO_LINK)
async def test_link_refused_is_retried_within_bounds(tmp_path: Path, expected: Row, responder: Responder) -> None:
    """The server is checked over HTTP, and reconnects are bounded."""
    timing = {"http_timeout_s": 0.4}
    async with faulty(tmp_path, "loaded", {WS: responder}, timing=timing) as (harness, proxy):
        await harness.until_read(expected)
        await assert_few_connections(proxy)
        detail = await harness.until_state("loaded")
        assert not detail["link"]["connected"]


async def assert_few_connections(proxy: FaultProxy) -> None:
    """Count the connections of COUNTED_S seconds."""
    before = len(proxy.client_ids)
    await asyncio.sleep(COUNTED_S)
    assert len(proxy.client_ids) - before <= MAX_CONNECTIONS


async def test_link_closed_after_status_is_retried_within_bounds(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "loaded", {WS: send_status_and_close}) as (harness, proxy):
        await harness.until_read(expected)
        await assert_few_connections(proxy)
        await harness.until_state("loaded")


async def test_link_closed_at_once_is_retried_less_often(tmp_path: Path, expected: Row) -> None:
    """With the default limits the reconnects become rarer."""
    timing = {"link_backoff_max_s": 60}
    async with faulty(tmp_path, "loaded", {WS: accept_and_close}, timing=timing) as (harness, proxy):
        await harness.until_read(expected)
        await asyncio.sleep(3)
        assert len(proxy.client_ids) <= 6


async def test_warm_up_without_a_link_succeeds(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "cold", {WS: respond_with(b"", 403)}) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
        assert "client_id" not in proxy.posts[0]


async def test_link_without_pongs_is_kept(tmp_path: Path, expected: Row) -> None:
    """A server that loads models may not answer pings; the periodic check finds lost keys."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        proxy.pongs = False
        await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
        proxy.server.drop_keys(keep_executor=False)
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_half_open_connections_are_detected(tmp_path: Path, expected: Row) -> None:
    """The server disappears without a FIN during a warm-up and comes back later."""
    proxy = FaultProxy(PROFILES["cold"], scale=0.1)
    async with (
        proxy.listening(),
        Valve(proxy.url) as valve,
        watched(tmp_path, valve.url, timing={"http_timeout_s": 0.4}) as harness,
    ):
        await harness.until_state("warming")
        valve.close()
        await harness.until_read(expected, timeout_s=PATIENCE_S + 5)
        valve.reopen()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
        assert_no_duplicate_posts(proxy)


async def test_half_open_link_is_covered_by_the_check(tmp_path: Path, expected: Row) -> None:
    """A firewall drops the idle /ws and lets new connections through."""
    proxy = FaultProxy(PROFILES["loaded"])
    async with proxy.listening(), Valve(proxy.url) as valve, watched(tmp_path, valve.url) as harness:
        await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
        valve.drop_open_connections()
        proxy.server.drop_keys(keep_executor=False)
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["state"] == "loaded", timeout_s=PATIENCE_S + 5)
        assert len(proxy.posts) == 1
        assert_no_duplicate_posts(proxy)


async def test_link_reconnecting_uses_a_new_client_id(tmp_path: Path, expected: Row) -> None:
    """A socket with a reused id receives no frames [transcript 08]."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        for connects in range(1, 5):
            await wait_connected(harness, connects)
            proxy.send(wire(RESERVED, b"x"))
        await harness.until_read(expected)
        assert len(proxy.client_ids) >= 4
        assert "" not in proxy.client_ids
        await harness.until_state("loaded")


async def wait_connected(harness: Harness, connects: int) -> None:
    """Wait until the link has connected this many times."""
    await harness.until(lambda detail: detail["link"]["connects"] >= connects and detail["link"]["connected"])
