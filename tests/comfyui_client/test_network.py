"""The real network against small real servers on the loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from pydantic import SecretStr

from statemachine.comfyui.errors import AccessDeniedError, ComfyError, NotAnsweringError, NotUnderstoodError
from statemachine.comfyui.network import MAX_BODY, NetworkTransport, new_session
from statemachine.comfyui.node_answers import questions
from statemachine.comfyui.transport import ConnectRefusedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOST = "127.0.0.1"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The URL of a server that answers everything with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking_raw(answer: bytes) -> AsyncIterator[str]:
    """The URL of a server that writes these bytes to whoever connects, and closes."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(speak, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def transport_to(url: str, timeout_s: float = 5.0, **headers: str) -> AsyncIterator[NetworkTransport]:
    async with new_session() as session:
        secrets = {name: SecretStr(value) for name, value in headers.items()}
        yield NetworkTransport(session, url, secrets, lambda: timeout_s)


@pytest.fixture
async def nobody() -> str:
    """The URL of a port on which nothing listens any more."""
    server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://{HOST}:{port}"


# HTTP.


async def test_the_wanted_kind_of_answer_and_odd_characters_arrive_as_they_are() -> None:
    seen: list[tuple[list[str], str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.query.getall("key"), request.headers.get("Accept")))
        return web.Response()

    keys = ["a b&key=c", "键，#%41+/", "ü"]
    (question,) = questions("/cache/check", tuple(keys))
    async with serving(handler) as url, transport_to(url, Accept="text/html") as transport:
        await transport.request("GET", question, accept="application/json")
        await transport.request("GET", question)
    assert seen == [(keys, "application/json"), (keys, "text/html")]


async def test_a_request_carries_path_body_and_headers_and_brings_the_answer_back() -> None:
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
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/login"})

    async with serving(handler) as url, transport_to(url) as transport:
        reply = await transport.request("POST", "/prompt", b"{}")
    assert (reply.status, reply.location, paths) == (status, "/login", ["/prompt"])


async def test_nothing_listens(nobody: str) -> None:
    async with transport_to(nobody) as transport:
        with pytest.raises(ConnectRefusedError):
            await transport.request("GET", "/prompt")
        with pytest.raises(ConnectRefusedError):
            await transport.connect("c")


async def test_a_server_that_does_not_answer_in_time() -> None:
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
async def test_an_answer_that_is_broken_off_or_no_http(answer: bytes) -> None:
    async with speaking_raw(answer) as url, transport_to(url) as transport:
        with pytest.raises(NotAnsweringError) as caught:
            await transport.request("GET", "/prompt")
        assert str(caught.value)
        with pytest.raises(NotAnsweringError):
            await transport.connect("c")


async def test_an_answer_beyond_all_measure_is_not_read() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        chunk = bytes(2**20)
        for _ in range(2 * MAX_BODY // len(chunk)):
            await response.write(chunk)
        return response

    async with serving(handler) as url, transport_to(url) as transport:
        with pytest.raises(NotUnderstoodError, match="larger than"):
            await transport.request("GET", "/queue")


STRANGE_BYTES = [
    b"\xff\xfe\r\n\r\n",
    b"HTTP/1.1 \xff\xfe\r\n\r\n",
    b"HTTP/1.1 200 \xff\xfe\r\nX\xff: \xff\r\n\r\n",
    b"HTTP/1.1 401 \xff\xfe\r\nContent-Length: \xff\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
]


@pytest.mark.parametrize("answer", STRANGE_BYTES)
async def test_whatever_bytes_come_what_is_said_of_them_can_be_written_down(answer: bytes) -> None:
    async with speaking_raw(answer) as url, transport_to(url) as transport:
        said = []
        try:
            reply = await transport.request("GET", "/prompt")
            said.append(reply.location + reply.text)
        except ComfyError as error:
            said.append(str(error))
        with pytest.raises(ComfyError) as caught:
            await transport.connect("c")
        said.append(str(caught.value))
    assert [len(one.encode("utf-8").splitlines()) <= 1 for one in said] == [True, True]


async def test_an_encoding_that_lies_is_an_answer_that_is_not_understood() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"this is not gzip", headers={"Content-Encoding": "gzip"})

    async with serving(handler) as url, transport_to(url) as transport:
        with pytest.raises(NotUnderstoodError):
            await transport.request("GET", "/cache/check")


async def test_header_bytes_that_are_no_text_can_be_written_down() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /\xff\xfe\r\nContent-Length: 0\r\n\r\n"
    async with speaking_raw(answer) as url, transport_to(url) as transport:
        reply = await transport.request("GET", "/prompt")
    assert reply.location.encode("utf-8").startswith(b"/")


# /ws.


@asynccontextmanager
async def sockets(talk: Callable[[web.WebSocketResponse], Awaitable[None]]) -> AsyncIterator[str]:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(f"{request.query['clientId']} {request.headers.get('Authorization')}")
        await talk(socket)
        return socket

    async with serving(handler) as url:
        yield url


async def test_frames_come_in_order_until_the_server_closes() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x00\x01")
        await socket.send_str("last")
        await socket.close()

    async with sockets(talk) as url, transport_to(url, Authorization="Basic x") as transport:
        socket = await transport.connect("me")
        heard: list[str] = []
        with pytest.raises(NotAnsweringError, match="closed"):
            await socket.listen(heard.append)
        await socket.close()
    assert heard == ["me Basic x", "last"]


async def test_a_preview_of_many_megabytes_does_not_end_the_connection() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(bytes(8 * 2**20))
        await socket.send_str("after it")
        await socket.close()

    async with sockets(talk) as url, transport_to(url) as transport:
        socket = await transport.connect("me")
        heard: list[str] = []
        with pytest.raises(NotAnsweringError, match="closed"):
            await socket.listen(heard.append)
        await socket.close()
    assert heard == ["me None", "after it"]


async def test_closing_tells_the_server() -> None:
    closed = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        closed.set()

    async with sockets(talk) as url, transport_to(url) as transport:
        socket = await transport.connect("me")
        await socket.close()
        async with asyncio.timeout(5):
            await closed.wait()


@pytest.mark.parametrize(
    ("status", "location", "error"),
    [
        (401, None, AccessDeniedError),
        (403, None, AccessDeniedError),
        (302, "/login", AccessDeniedError),
        (302, "http://192.0.2.1/login", AccessDeniedError),
        (404, None, NotAnsweringError),
        (500, None, NotAnsweringError),
        (502, None, NotAnsweringError),
        (200, None, NotAnsweringError),
    ],
)
async def test_a_ws_that_is_refused(status: int, location: str | None, error: type[Exception]) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": location} if location else {})

    async with serving(handler) as url, transport_to(url) as transport:
        with pytest.raises(error) as caught:
            await transport.connect("me")
    assert type(caught.value) is error
    assert paths == ["/ws"]
