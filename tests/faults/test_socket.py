"""/ws goes wrong: the check still decides what a server holds, and no frame harms anything but its own connection."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.simulator import PERSONAS
from tests.faults.frames import RESERVED, status, wire
from tests.faults.harness import Harness, faulty, nothing_posted_twice, watched
from tests.faults.proxy import Exchange, FaultProxy, Responder
from tests.faults.responses import hangs, says, writes
from tests.faults.table import Row
from tests.faults.valve import Valve
from tests.support.polling import PATIENCE_S

WS = "GET /ws"
MIB = 2**20
SPAN_S = 1.2
MOST_DIALS = 8
"""In SPAN_S, whatever the server does: the backoff doubles from 0.25 s to link_backoff_max_s (here 0.5 s)."""


async def accepts_and_closes(exchange: Exchange) -> web.WebSocketResponse:
    """A proxy whose backend is gone."""
    ws = web.WebSocketResponse()
    await ws.prepare(exchange.request)
    await ws.close()
    return ws


async def greets_and_closes(exchange: Exchange) -> web.WebSocketResponse:
    """Looks like a link each time."""
    ws = web.WebSocketResponse()
    await ws.prepare(exchange.request)
    await ws.send_str(status(0))
    await ws.close()
    return ws


async def mute(exchange: Exchange) -> web.WebSocketResponse:
    """Opens, and says nothing for ever."""
    ws = web.WebSocketResponse()
    await ws.prepare(exchange.request)
    async for _ in ws:
        pass
    return ws


NO_LINK: dict[str, Responder] = {
    "refused-403": says(b"", 403),
    "absent-404": says(b"", 404),
    "answered-200": says("<html></html>", content_type="text/html"),
    "redirected-302": says(b"", 302, Location="/login"),
    "proxy-502": says(b"", 502),
    "not-http": writes(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "wrong-accept-key": writes(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBrZXk=\r\n\r\n"
    ),
    "handshake-hangs": hangs,
    "accepts-and-closes": accepts_and_closes,
    "mute": mute,
}


@pytest.mark.parametrize("responder", NO_LINK.values(), ids=NO_LINK)
async def test_no_link(tmp_path: Path, expected: Row, responder: Responder) -> None:
    """The server is checked by HTTP, and dialled within bounds."""
    timing = {"http_timeout_s": 0.4}
    async with faulty(tmp_path, "loaded", {WS: responder}, timing=timing) as (harness, proxy):
        await harness.until_read(expected)
        await dialled_within_bounds(proxy)
        detail = await harness.until_state("loaded")
        assert not detail["link"]["connected"]


async def dialled_within_bounds(proxy: FaultProxy) -> None:
    """Count for a while; there is nothing to wait for but time."""
    before = len(proxy.client_ids)
    await asyncio.sleep(SPAN_S)
    assert len(proxy.client_ids) - before <= MOST_DIALS


async def test_greets_and_closes(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "loaded", {WS: greets_and_closes}) as (harness, proxy):
        await harness.until_read(expected)
        await dialled_within_bounds(proxy)
        await harness.until_state("loaded")


async def test_backoff_of_a_closing_server_grows(tmp_path: Path, expected: Row) -> None:
    """With the limits of every day it is dialled ever less often."""
    timing = {"link_backoff_max_s": 60}
    async with faulty(tmp_path, "loaded", {WS: accepts_and_closes}, timing=timing) as (harness, proxy):
        await harness.until_read(expected)
        await asyncio.sleep(3)
        assert len(proxy.client_ids) <= 6


async def test_warmed_without_a_link(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "cold", {WS: says(b"", 403)}) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
        assert "client_id" not in proxy.posts[0]


async def test_never_pongs(tmp_path: Path, expected: Row) -> None:
    """Silence is no proof of death while models load; the interval's check notices what frames do not tell."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        proxy.pongs = False
        await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
        proxy.server.drop_keys(keep_executor=False)
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_half_open(tmp_path: Path, expected: Row) -> None:
    """The peer vanishes without a FIN in the middle of a warm-up, and is there again later; nothing is sent twice."""
    proxy = FaultProxy(PERSONAS["cold"], scale=0.1)
    async with (
        proxy.listening(),
        Valve(proxy.url) as valve,
        watched(tmp_path, valve.url, timing={"http_timeout_s": 0.4}) as harness,
    ):
        await harness.until_state("warming")
        valve.shut()
        await harness.until_read(expected, timeout_s=PATIENCE_S + 5)
        valve.reopen()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
        nothing_posted_twice(proxy)


async def test_half_open_socket_only(tmp_path: Path, expected: Row) -> None:
    """A firewall forgets the idle /ws and lets new connections through."""
    proxy = FaultProxy(PERSONAS["loaded"])
    async with proxy.listening(), Valve(proxy.url) as valve, watched(tmp_path, valve.url) as harness:
        await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
        valve.forget_the_open()
        proxy.server.drop_keys(keep_executor=False)
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["state"] == "loaded", timeout_s=PATIENCE_S + 5)
        assert len(proxy.posts) == 1
        nothing_posted_twice(proxy)


async def test_every_connection_has_its_own_id(tmp_path: Path, expected: Row) -> None:
    """A socket whose id is used again hears nothing (transcript 08)."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        for connects in range(1, 5):
            await linked(harness, connects)
            proxy.say(wire(RESERVED, b"x"))
        await harness.until_read(expected)
        assert len(proxy.client_ids) >= 4
        assert "" not in proxy.client_ids
        await harness.until_state("loaded")


async def linked(harness: Harness, connects: int) -> None:
    """Wait for the link's so manieth connection."""
    await harness.until(lambda detail: detail["link"]["connects"] >= connects and detail["link"]["connected"])
