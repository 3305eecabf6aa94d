"""The /ws connections of NetworkTransport, against real servers on the loopback interface."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from statemachine.comfyui.errors import AccessDeniedError, NotAnsweringError, RateLimitedError
from tests.comfyui_client.servers import serving, transport_to


@asynccontextmanager
async def serving_ws(talk: Callable[[web.WebSocketResponse], Awaitable[None]]) -> AsyncIterator[str]:
    """Yield the URL of a server that sends the client id and the Authorization header on /ws, then calls `talk`."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(f"{request.query['clientId']} {request.headers.get('Authorization')}")
        await talk(socket)
        return socket

    async with serving(handler) as url:
        yield url


async def test_listen_receives_texts_until_server_closes() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x00\x01")
        await socket.send_str("last")
        await socket.close()

    async with serving_ws(talk) as url, transport_to(url, Authorization="Basic x") as transport:
        socket = await transport.connect("me")
        received: list[str] = []
        with pytest.raises(NotAnsweringError, match="closed"):
            await socket.listen(received.append)
        await socket.close()
    assert received == ["me Basic x", "last"]


async def test_listen_large_preview_is_skipped() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(bytes(8 * 2**20))
        await socket.send_str("after it")
        await socket.close()

    async with serving_ws(talk) as url, transport_to(url) as transport:
        socket = await transport.connect("me")
        received: list[str] = []
        with pytest.raises(NotAnsweringError, match="closed"):
            await socket.listen(received.append)
        await socket.close()
    assert received == ["me None", "after it"]


async def test_close_sends_close_frame() -> None:
    closed = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        closed.set()

    async with serving_ws(talk) as url, transport_to(url) as transport:
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
        (302, "https://auth.example/?rd=x", AccessDeniedError),
        (302, "http://192.0.2.1/ws", NotAnsweringError),
        (407, None, AccessDeniedError),
        (429, None, RateLimitedError),
        (404, None, NotAnsweringError),
        (500, None, NotAnsweringError),
        (502, None, NotAnsweringError),
        (524, None, NotAnsweringError),
        (530, None, NotAnsweringError),
        (200, None, NotAnsweringError),
    ],
)
async def test_connect_refused_raises_matching_error(status: int, location: str | None, error: type[Exception]) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": location} if location else {})

    async with serving(handler) as url, transport_to(url) as transport:
        with pytest.raises(error) as caught:
            await transport.connect("me")
    assert type(caught.value) is error
    assert paths == ["/ws"]
