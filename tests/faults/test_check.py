"""The cache check goes wrong: nothing is submitted, and nothing is believed that was not understood."""

import asyncio
import zlib
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.harness import Memory, faulty
from tests.faults.proxy import Exchange, Responder
from tests.faults.responses import cuts, hangs, says, times, writes
from tests.faults.table import Row
from tests.support.daemon import Json

CHECK = "GET /cache/check"
LIST = "GET /inspire/cache/list"
MIB = 2**20
OK = b"HTTP/1.1 200 OK\r\n"
LOADED = "缓存已加载。".encode()
PORTAL = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>缓存已加载。</body></html>"

NOT_UNDERSTOOD: dict[str, Responder] = {
    "garbage": says(bytes(range(1, 120)) * 3),
    "truncated-json": says('{"message": "缓存已加', content_type="application/json"),
    "empty": says(b""),
    "html-portal": says(PORTAL, content_type="text/html"),
    "unknown-sentence": says("缓存正在加载中，请稍候。"),
    "half-a-sentence": says("未查询到缓存pulid_model，正在执行"),
    "invalid-utf-8": says(b"\xe7\xbc\x93\xe5\xad\x98\xff\xfe" + LOADED),
    "utf-16": says("缓存已加载。".encode("utf-16")),
    "guest": says("{}", content_type="application/json"),
    "deep-json": says("[" * 200_000, content_type="application/json"),
    "megabytes-of-text": says("缓存已加载。" * 200_000),
    "error-500": says("500 Internal Server Error", 500),
    "status-418": says(LOADED, 418),
    "redirect-elsewhere": says(b"", 302, Location="http://192.0.2.1/portal"),
    "location-not-text": writes(b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"),
}
REFUSED: dict[str, Responder] = {
    "absent-404": says(b"", 404),
    "status-401": says('{"error": "Authentication required."}', 401),
    "status-403": says(b"", 403),
    "redirect-to-login": says(b"", 302, Location="/login?next=/cache/check"),
}
BROKEN: dict[str, Responder] = {
    "content-length-too-long": writes(OK + b"Content-Length: 500\r\n\r\n" + LOADED),
    "cut-in-the-headers": writes(OK + b"Content-Ty"),
    "cut-in-a-chunk": writes(OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + LOADED),
    "not-a-chunk": writes(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + LOADED),
    "not-http": writes(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "two-content-lengths": writes(OK + b"Content-Length: 3\r\nContent-Length: 18\r\n\r\n" + LOADED),
    "reset": cuts,
    "slow-loris": writes(OK + b"Content-Length: 5000\r\n\r\n", *[b" "] * 5000, pause_s=0.05),
    "no-answer": hangs,
    "one-endless-header": writes(OK, *[b"X-More: " + b"x" * MIB] * 300, close=False),
    "endless-headers": writes(OK, *[b"".join(b"X-%d: y\r\n" % n for n in range(20_000))] * 300, close=False),
    "proxy-502": says("<html>Bad Gateway</html>", 502),
}


def passed_through(detail: Json) -> set[str]:
    """The states that the server was ever said to be in."""
    return {one["to"] for one in detail["transitions"]}


async def read(folder: Path, expected: Row, responder: Responder) -> None:
    """A server that has everything, whose check is bent from the start."""
    timing = {"http_timeout_s": 0.4}
    async with faulty(folder, "loaded", {CHECK: responder}, timing=timing) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert not passed_through(detail) & {"loaded", "cold", "submitting"}
        assert proxy.posts == []


@pytest.mark.parametrize("responder", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
async def test_not_understood_is_unknown(tmp_path: Path, expected: Row, responder: Responder) -> None:
    await read(tmp_path, expected, responder)


@pytest.mark.parametrize("responder", REFUSED.values(), ids=REFUSED)
async def test_refused_is_failed(tmp_path: Path, expected: Row, responder: Responder) -> None:
    await read(tmp_path, expected, responder)


@pytest.mark.parametrize("responder", BROKEN.values(), ids=BROKEN)
async def test_no_whole_answer_is_no_answer(tmp_path: Path, expected: Row, responder: Responder) -> None:
    with Memory() as memory:
        await read(tmp_path, expected, responder)
    assert memory.growth < 100 * MIB


async def test_encoding_that_is_a_lie(tmp_path: Path, expected: Row) -> None:
    await read(tmp_path, expected, says(LOADED, Content_Encoding="gzip"))


def bomb(size: int) -> bytes:
    """Gzip that inflates to so many bytes."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(squeeze.compress(bytes(MIB)) for _ in range(size // MIB)), squeeze.flush()])


async def test_gzip_bomb(tmp_path: Path, expected: Row) -> None:
    body = bomb(600 * MIB)
    responders = {CHECK: says(body, Content_Encoding="gzip")}
    with Memory() as memory:
        async with faulty(tmp_path, "loaded", responders, timing={"http_timeout_s": 5}) as (harness, _):
            await harness.until_read(expected)
    assert memory.growth < 250 * MIB


async def test_body_without_an_end(tmp_path: Path, expected: Row) -> None:
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


async def test_more_than_content_length(tmp_path: Path, expected: Row) -> None:
    """What follows the answer is no answer, and does not become that of the next request."""
    forged = OK + b"Content-Length: 21\r\n\r\n" + "未查询到缓存x".encode()
    responder = writes(OK + b"Content-Length: %d\r\n\r\n" % len(LOADED) + LOADED + forged)
    async with faulty(tmp_path, "loaded", {CHECK: responder}) as (harness, proxy):
        await harness.until_read(expected)
        asked = proxy.asked[CHECK]
        await harness.until(lambda _: proxy.asked[CHECK] > asked + 2)
        assert passed_through(await harness.detail("faulty")) <= {"checking", "loaded", "unknown", "unreachable"}


async def test_list_fails_once(tmp_path: Path, expected: Row) -> None:
    responders = {LIST: times(1, says("dictionary changed size during iteration", 500))}
    async with faulty(tmp_path, "loaded", responders, cache_check={"kind": "inspire"}) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert passed_through(detail) == {"checking", "loaded"}
        assert proxy.posts == []


async def test_list_always_fails(tmp_path: Path, expected: Row) -> None:
    responders = {LIST: says("500 Internal Server Error", 500)}
    async with faulty(tmp_path, "loaded", responders, cache_check={"kind": "inspire"}) as (harness, proxy):
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_check_fails_later(tmp_path: Path, expected: Row) -> None:
    """A server that was loaded is not loaded any more once its check is not understood; it is again afterwards."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until_state("loaded")
        proxy.responders[CHECK] = says(PORTAL, content_type="text/html")
        detail = await harness.until_read(expected)
        assert "Sign in" in detail["check"]["raw"]
        del proxy.responders[CHECK]
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_every_route_is_a_portal(tmp_path: Path, expected: Row) -> None:
    """A captive portal in the server's place, /ws and all."""
    portal = says(PORTAL, content_type="text/html")
    routes = (CHECK, LIST, "GET /ws", "GET /prompt", "GET /queue", "GET /history", "POST /prompt", "GET /system_stats")
    responders = dict.fromkeys(routes, portal)
    async with faulty(tmp_path, "cold", responders, cache_check={"kind": "auto"}) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert not passed_through(detail) & {"loaded", "cold", "submitting"}
        assert proxy.posts == []


async def test_check_alone_never_answers(tmp_path: Path, expected: Row) -> None:
    """/prompt answers, so the server comes back each time; the rounds must get rarer."""
    async with faulty(tmp_path, "loaded", {CHECK: cuts}, timing={"failed_retry_s": 60}) as (harness, _):
        await harness.until_read(expected)
        await asyncio.sleep(4)
        assert (await harness.detail("faulty"))["counters"]["to_unreachable"] <= 6
