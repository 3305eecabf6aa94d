"""NetworkTransport against real servers on the loopback interface."""

import asyncio

import pytest
from aiohttp import web

from statemachine.comfyui.errors import (
    AccessDeniedError,
    ComfyError,
    ConnectRefusedError,
    NotAnsweringError,
    NotUnderstoodError,
    RateLimitedError,
)
from statemachine.comfyui.node_answers import check_paths
from statemachine.version import version
from tests.comfyui_client.servers import HOST, serving, serving_bytes, transport_to


@pytest.fixture
async def closed_url() -> str:
    """Return the URL of a port on which nothing listens."""
    server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://{HOST}:{port}"


async def test_request_sends_accept_header_and_encoded_query() -> None:
    seen: list[tuple[list[str], str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.query.getall("key"), request.headers.get("Accept")))
        return web.Response()

    keys = ["a b&key=c", "键，#%41+/", "ü"]
    (path,) = check_paths("/cache/check", tuple(keys))
    async with serving(handler) as url, transport_to(url, Accept="text/html") as transport:
        await transport.request("GET", path, accept="application/json")
        await transport.request("GET", path)
    assert seen == [(keys, "application/json"), (keys, "text/html")]


async def test_request_sends_body_and_headers_and_returns_reply() -> None:
    seen: list[tuple[str, str, bytes, str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        headers = request.headers
        seen.append((request.method, request.path_qs, body, headers.get("Authorization"), headers.get("Origin")))
        return web.Response(text="缓存已加载。")

    async with serving(handler) as url, transport_to(url, Authorization="Bearer x") as transport:
        reply = await transport.request("GET", "/history?max_items=2")
        await transport.request("POST", "/prompt", b"{}")
    assert (reply.status, reply.text, reply.location) == (200, "缓存已加载。", "")
    assert seen == [
        ("GET", "/history?max_items=2", b"", "Bearer x", None),
        ("POST", "/prompt", b"{}", "Bearer x", None),
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_request_redirect_is_not_followed(status: int) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/login"})

    async with serving(handler) as url, transport_to(url) as transport:
        reply = await transport.request("POST", "/prompt", b"{}")
    assert (reply.status, reply.location, paths) == (status, "/login", ["/prompt"])


async def test_requests_name_comfywarm_and_its_version() -> None:
    agents: list[list[str]] = []

    async def handler(request: web.Request) -> web.Response:
        agents.append(request.headers.getall("User-Agent"))
        return web.Response(status=500)

    async with serving(handler) as url, transport_to(url) as transport:
        await transport.request("GET", "/prompt")
        await transport.request("POST", "/prompt", b"{}")
        with pytest.raises(NotAnsweringError):
            await transport.connect("me")
    assert agents == [[f"comfywarm/{version()}"]] * 3


async def test_configured_user_agent_replaces_ours() -> None:
    agents: list[list[str]] = []

    async def handler(request: web.Request) -> web.Response:
        agents.append(request.headers.getall("User-Agent"))
        return web.Response(status=500)

    async with serving(handler) as url, transport_to(url, 5.0, **{"user-agent": "mine"}) as transport:
        await transport.request("GET", "/prompt")
        with pytest.raises(NotAnsweringError):
            await transport.connect("me")
    assert agents == [["mine"]] * 2


async def test_denial_has_scheme_and_masked_text() -> None:
    async def handler(_: web.Request) -> web.Response:
        challenge = {"WWW-Authenticate": 'Bearer realm="secret-token"'}
        return web.Response(status=401, text="no access with secret-token", headers=challenge)

    async with serving(handler) as url, transport_to(url, Authorization="Bearer secret-token") as transport:
        reply = await transport.request("GET", "/prompt")
        with pytest.raises(AccessDeniedError) as caught:
            reply.raise_for_status()
        with pytest.raises(AccessDeniedError) as handshake:
            await transport.connect("me")
    assert str(caught.value).startswith("access denied (HTTP 401), the server asks for Bearer: 'no access with ")
    assert str(handshake.value) == f"/ws: {caught.value}"
    assert "secret-token" not in f"{caught.value}{caught.value.raw}{reply.challenge}{handshake.value}"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Thu, 01 Jan 2026 12:00:09 GMT", "Date": "Thu, 01 Jan 2026 12:00:00 GMT"}, 9),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_limited_request_and_connect_say_how_long(headers: dict[str, str], seconds: float | None) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=429, headers=headers)

    async with serving(handler) as url, transport_to(url) as transport:
        assert (await transport.request("GET", "/prompt")).retry_after_s == seconds
        with pytest.raises(RateLimitedError, match="/ws: rate limited") as caught:
            await transport.connect("me")
    assert caught.value.retry_after_s == seconds


async def test_request_and_connect_to_closed_port_raise_refused(closed_url: str) -> None:
    async with transport_to(closed_url) as transport:
        with pytest.raises(ConnectRefusedError):
            await transport.request("GET", "/prompt")
        with pytest.raises(ConnectRefusedError):
            await transport.connect("c")


async def test_request_and_connect_time_out() -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(handler) as url, transport_to(url, 0.05) as transport:
        with pytest.raises(NotAnsweringError, match=r"no answer within 0\.05 s"):
            await transport.request("GET", "/prompt")
        with pytest.raises(NotAnsweringError):
            await transport.connect("c")


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00\x01garbage", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"HTTP/1.1 999\r\n"],
)
async def test_request_and_connect_invalid_http_raise_not_answering(answer: bytes) -> None:
    async with serving_bytes(answer) as url, transport_to(url) as transport:
        with pytest.raises(NotAnsweringError) as caught:
            await transport.request("GET", "/prompt")
        assert str(caught.value)
        with pytest.raises(NotAnsweringError):
            await transport.connect("c")


async def test_request_oversized_answer_raises() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        chunk = bytes(2**20)
        for _ in range(128):
            await response.write(chunk)
        return response

    async with serving(handler) as url, transport_to(url) as transport:
        with pytest.raises(NotUnderstoodError, match="larger than"):
            await transport.request("GET", "/queue")


NON_ASCII_ANSWERS = [
    b"\xff\xfe\r\n\r\n",
    b"HTTP/1.1 \xff\xfe\r\n\r\n",
    b"HTTP/1.1 200 \xff\xfe\r\nX\xff: \xff\r\n\r\n",
    b"HTTP/1.1 401 \xff\xfe\r\nContent-Length: \xff\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
]


@pytest.mark.parametrize("answer", NON_ASCII_ANSWERS)
async def test_request_and_connect_any_bytes_give_encodable_text(answer: bytes) -> None:
    async with serving_bytes(answer) as url, transport_to(url) as transport:
        texts = []
        try:
            reply = await transport.request("GET", "/prompt")
            texts.append(reply.location + reply.text)
        except ComfyError as error:
            texts.append(str(error))
        with pytest.raises(ComfyError) as caught:
            await transport.connect("c")
        texts.append(str(caught.value))
    assert [len(text.encode("utf-8").splitlines()) <= 1 for text in texts] == [True, True]


async def test_request_wrong_content_encoding_raises_not_understood() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"this is not gzip", headers={"Content-Encoding": "gzip"})

    async with serving(handler) as url, transport_to(url) as transport:
        with pytest.raises(NotUnderstoodError):
            await transport.request("GET", "/cache/check")


async def test_request_location_not_utf8_is_encodable() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"
    async with serving_bytes(answer) as url, transport_to(url) as transport:
        reply = await transport.request("GET", "/prompt")
    assert reply.location.encode("utf-8").startswith(b"/")
