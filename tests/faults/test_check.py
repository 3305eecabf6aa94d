"""Faults of the cache check: nothing is submitted after a check that is not understood."""

import asyncio
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.faults.harness import Memory, assert_nothing_is_sent, faulty
from tests.faults.proxy import Exchange, Responder
from tests.faults.responses import hang, reset_connection, respond_with, times, write_bytes
from tests.faults.table import Row
from tests.support.daemon import Json

CHECK = "GET /cache/check"
LIST = "GET /inspire/cache/list"
MIB = 2**20
OK = b"HTTP/1.1 200 OK\r\n"
LOADED = "缓存已加载。".encode()
PORTAL = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>缓存已加载。</body></html>"

NOT_UNDERSTOOD: dict[str, Responder] = {
    "garbage": respond_with(bytes(range(1, 120)) * 3),
    "truncated-json": respond_with('{"message": "缓存已加', content_type="application/json"),
    "empty": respond_with(b""),
    "html-portal": respond_with(PORTAL, content_type="text/html"),
    "unknown-sentence": respond_with("缓存正在加载中，请稍候。"),
    "half-a-sentence": respond_with("未查询到缓存pulid_model，正在执行"),
    "invalid-utf-8": respond_with(b"\xe7\xbc\x93\xe5\xad\x98\xff\xfe" + LOADED),
    "utf-16": respond_with("缓存已加载。".encode("utf-16")),
    "gbk-undeclared": respond_with("缓存已加载。".encode("gbk")),
    "guest": respond_with("{}", content_type="application/json"),
    "deep-json": respond_with("[" * 200_000, content_type="application/json"),
    "megabytes-of-text": respond_with("缓存已加载。" * 200_000),
    "error-500": respond_with("500 Internal Server Error", 500),
    "status-418": respond_with(LOADED, 418),
    "redirect-elsewhere": respond_with(b"", 302, Location="http://192.0.2.1/portal"),
    "location-not-text": write_bytes(b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"),
}
REFUSED: dict[str, Responder] = {
    "absent-404": respond_with(b"", 404),
    "status-401": respond_with('{"error": "Authentication required."}', 401),
    "status-403": respond_with(b"", 403),
    "redirect-to-login": respond_with(b"", 302, Location="/login?next=/cache/check"),
    "redirect-to-sign-in": respond_with(b"", 302, Location="/users/sign_in"),
    "redirect-to-oauth2": respond_with(b"", 302, Location="https://id.example/oauth2/start?rd=/cache/check"),
    "redirect-to-auth-host": respond_with(b"", 307, Location="https://auth.example.com/?rd=/cache/check"),
    "status-401-basic": respond_with("no credentials", 401, WWW_Authenticate='Basic realm="ComfyUI"'),
    "status-407": respond_with(b"", 407),
}
BROKEN: dict[str, Responder] = {
    "content-length-too-long": write_bytes(OK + b"Content-Length: 500\r\n\r\n" + LOADED),
    "cut-in-the-headers": write_bytes(OK + b"Content-Ty"),
    "cut-in-a-chunk": write_bytes(OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + LOADED),
    "not-a-chunk": write_bytes(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + LOADED),
    "not-http": write_bytes(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "two-content-lengths": write_bytes(OK + b"Content-Length: 3\r\nContent-Length: 18\r\n\r\n" + LOADED),
    "reset": reset_connection,
    "slow-loris": write_bytes(OK + b"Content-Length: 5000\r\n\r\n", *[b" "] * 5000, pause_s=0.05),
    "no-answer": hang,
    "one-endless-header": write_bytes(OK, *[b"X-More: " + b"x" * MIB] * 300, close=False),
    "endless-headers": write_bytes(OK, *[b"".join(b"X-%d: y\r\n" % n for n in range(20_000))] * 300, close=False),
    "proxy-502": respond_with("<html>Bad Gateway</html>", 502),
}


def past_states(detail: Json) -> set[str]:
    """Return the states that the server has had."""
    return {one["to"] for one in detail["transitions"]}


UNDERSTOOD: dict[str, Responder] = {
    "gbk": respond_with("缓存已加载。".encode("gbk"), content_type="text/plain; charset=GBK"),
    "gb2312": respond_with("缓存已加载。".encode("gb2312"), content_type='text/html; charset="gb2312"'),
    "gb18030-json": respond_with(
        '{"message": "缓存已加载。"}'.encode("gb18030"), content_type="text/json; charset=gb18030"
    ),
    "utf-16": respond_with("缓存已加载。".encode("utf-16"), content_type="text/plain; charset=utf-16"),
    "utf-8-bom": respond_with(b"\xef\xbb\xbf" + LOADED),
    "wrong-charset": respond_with(LOADED, content_type="text/plain; charset=ISO-8859-1"),
    "unknown-charset": respond_with(LOADED, content_type="text/plain; charset=nonsense"),
}


async def check_row(folder: Path, expected: Row, responder: Responder) -> None:
    """Compare a loaded server with a faulty check with its row."""
    timing = {"http_timeout_s": 0.4}
    async with faulty(folder, "loaded", {CHECK: responder}, timing=timing) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert not past_states(detail) & {"loaded", "cold", "submitting"}
        assert proxy.posts == []


@pytest.mark.parametrize("responder", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
async def test_check_not_understood_is_unknown(tmp_path: Path, expected: Row, responder: Responder) -> None:
    await check_row(tmp_path, expected, responder)


@pytest.mark.parametrize("responder", UNDERSTOOD.values(), ids=UNDERSTOOD)
async def test_check_in_declared_charset_is_loaded(tmp_path: Path, expected: Row, responder: Responder) -> None:
    async with faulty(tmp_path, "cold", {CHECK: responder}) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert "缓存已加载" in detail["check"]["raw"]
        assert proxy.posts == []


@pytest.mark.parametrize("responder", REFUSED.values(), ids=REFUSED)
async def test_check_refused_is_failed(tmp_path: Path, expected: Row, responder: Responder) -> None:
    await check_row(tmp_path, expected, responder)


@pytest.mark.parametrize("responder", BROKEN.values(), ids=BROKEN)
async def test_check_incomplete_is_unreachable(tmp_path: Path, expected: Row, responder: Responder) -> None:
    with Memory() as memory:
        await check_row(tmp_path, expected, responder)
    assert memory.growth < 100 * MIB


async def test_check_limited_is_asked_again_after_the_pause(tmp_path: Path, expected: Row) -> None:
    limited = times(1, respond_with("slow down", 429, Retry_After="1"))
    async with faulty(tmp_path, "loaded", {CHECK: limited}) as (harness, proxy):
        await harness.until(lambda detail: detail["reason"] == "rate_limited")
        await assert_nothing_is_sent(proxy)
        detail = await harness.until_read(expected)
        assert not past_states(detail) & {"failed", "unreachable"}
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_check_always_limited_is_asked_less_often(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "loaded", {CHECK: respond_with("slow down", 429)}) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.requests[CHECK] >= 3)
        detail = await harness.detail("faulty")
        assert not past_states(detail) & {"failed", "unreachable"}
        assert (detail["state"], detail["reason"]) in {("unknown", "rate_limited"), ("checking", "check_started")}


async def test_check_with_a_wrong_encoding_is_unknown(tmp_path: Path, expected: Row) -> None:
    await check_row(tmp_path, expected, respond_with(LOADED, Content_Encoding="gzip"))


def gzip_bomb(size: int) -> bytes:
    """Return gzip data that expands to `size` bytes."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(squeeze.compress(bytes(MIB)) for _ in range(size // MIB)), squeeze.flush()])


async def test_check_with_a_gzip_bomb_is_unknown(tmp_path: Path, expected: Row) -> None:
    body = gzip_bomb(600 * MIB)
    responders = {CHECK: respond_with(body, Content_Encoding="gzip")}
    with Memory() as memory:
        async with faulty(tmp_path, "loaded", responders, timing={"http_timeout_s": 5}) as (harness, _):
            await harness.until_read(expected)
    assert memory.growth < 250 * MIB


async def test_check_with_an_endless_body_is_unknown(tmp_path: Path, expected: Row) -> None:
    async def endless(exchange: Exchange) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(exchange.request)
        block = LOADED * 50_000
        while True:
            await response.write(block)

    with Memory() as memory:
        async with faulty(tmp_path, "loaded", {CHECK: endless}, timing={"http_timeout_s": 5}) as (harness, _):
            await harness.until_read(expected)
    assert memory.growth < 250 * MIB


async def test_check_with_a_second_response_ignores_it(tmp_path: Path, expected: Row) -> None:
    """Bytes after a response must not become the response of the next request."""
    forged = OK + b"Content-Length: 21\r\n\r\n" + "未查询到缓存x".encode()
    responder = write_bytes(OK + b"Content-Length: %d\r\n\r\n" % len(LOADED) + LOADED + forged)
    async with faulty(tmp_path, "loaded", {CHECK: responder}) as (harness, proxy):
        await harness.until_read(expected)
        asked = proxy.requests[CHECK]
        await harness.until(lambda _: proxy.requests[CHECK] > asked + 2)
        assert past_states(await harness.detail("faulty")) <= {"checking", "loaded", "unknown", "unreachable"}


def run_with(*arguments: str) -> Responder:
    """Report a ComfyUI that was started with these arguments."""

    async def responder(exchange: Exchange) -> web.Response:
        stats = json.loads((await exchange.forward()).text or "")
        stats["system"]["argv"] += arguments
        return web.json_response(stats)

    return responder


async def test_history_of_server_that_keeps_nothing_is_failed(tmp_path: Path, expected: Row) -> None:
    """No warm-up could make it loaded, so none is sent, also after users' prompts and retries."""
    responders = {"GET /system_stats": run_with("--cache-none")}
    kind, timing = {"kind": "history"}, {"failed_retry_s": 0.5}
    async with faulty(tmp_path, "inspire", responders, cache_check=kind, timing=timing) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 3)
        assert proxy.posts == []
        proxy.responders.clear()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def short_of_memory(exchange: Exchange) -> web.Response:
    """Report a ComfyUI that drops all results while less than 4 GiB are free, and that 1 GiB is."""
    stats = json.loads((await exchange.forward()).text or "")
    stats["system"]["argv"] += ["--cache-ram", "4"]
    stats["system"]["ram_free"] = 2**30
    return web.json_response(stats)


async def test_history_of_server_short_of_memory_is_failed(tmp_path: Path, expected: Row) -> None:
    """One run shows it; the next one waits until memory is free."""
    responders = {"GET /system_stats": short_of_memory}
    more: dict[str, Any] = {"workflows": ["smoke"], "cache_check": {"kind": "auto"}, "timing": {"failed_retry_s": 0.5}}
    async with faulty(tmp_path, "stock", responders, **more) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 3)
        assert len(proxy.posts) == 1
        proxy.responders.clear()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_keys_of_server_that_keeps_nothing_are_loaded(tmp_path: Path, expected: Row) -> None:
    responders = {"GET /system_stats": run_with("--cache-none")}
    async with faulty(tmp_path, "inspire", responders, cache_check={"kind": "inspire"}) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_list_failing_once_is_repeated(tmp_path: Path, expected: Row) -> None:
    responders = {LIST: times(1, respond_with("dictionary changed size during iteration", 500))}
    async with faulty(tmp_path, "loaded", responders, cache_check={"kind": "inspire"}) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert past_states(detail) == {"checking", "loaded"}
        assert proxy.posts == []


async def test_list_failing_always_is_unknown(tmp_path: Path, expected: Row) -> None:
    responders = {LIST: respond_with("500 Internal Server Error", 500)}
    async with faulty(tmp_path, "loaded", responders, cache_check={"kind": "inspire"}) as (harness, proxy):
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_check_not_understood_later_is_unknown(tmp_path: Path, expected: Row) -> None:
    """A loaded server becomes unknown, and loaded again when the fault ends."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until_state("loaded")
        proxy.responders[CHECK] = respond_with(PORTAL, content_type="text/html")
        detail = await harness.until_read(expected)
        assert "Sign in" in detail["check"]["raw"]
        del proxy.responders[CHECK]
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_portal_on_every_route_is_unknown(tmp_path: Path, expected: Row) -> None:
    """A captive portal replaces the server, including /ws."""
    portal = respond_with(PORTAL, content_type="text/html")
    routes = (CHECK, LIST, "GET /ws", "GET /prompt", "GET /queue", "GET /history", "POST /prompt", "GET /system_stats")
    responders = dict.fromkeys(routes, portal)
    async with faulty(tmp_path, "cold", responders, cache_check={"kind": "auto"}) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert not past_states(detail) & {"loaded", "cold", "submitting"}
        assert proxy.posts == []


async def test_check_failing_alone_is_repeated_less_often(tmp_path: Path, expected: Row) -> None:
    """/prompt works, so the server becomes reachable each time; the checks must become rarer."""
    async with faulty(tmp_path, "loaded", {CHECK: reset_connection}, timing={"failed_retry_s": 60}) as (harness, _):
        await harness.until_read(expected)
        await asyncio.sleep(4)
        assert (await harness.detail("faulty"))["counters"]["to_unreachable"] <= 6
