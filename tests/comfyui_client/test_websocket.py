"""How a /ws connection delivers texts: at once, in order, and none after the receiver has raised."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.fast_websocket import FastConnection
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.transport import Socket
from statemachine.comfyui.websocket import TextConnection
from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, running_fleet
from tests.comfyui_client.byte_streams import ConnectionType, both_connections
from tests.support.paths import WORKFLOWS

TIMEOUT_S = 5.0


@asynccontextmanager
async def connected(
    connection_type: ConnectionType, handler: Callable[[ServerConnection], Awaitable[None]]
) -> AsyncIterator[Socket]:
    """Yield a socket to a server that runs `handler` and then closes the connection."""
    async with serve(handler, "127.0.0.1", 0) as server, new_session() as session, asyncio.timeout(TIMEOUT_S):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = NetworkTransport(session, url, {}, lambda: TIMEOUT_S, connection=connection_type)
        socket = await transport.connect("me")
        yield socket
        await socket.close()


@both_connections
async def test_listen_text_is_passed_outside_any_task(connection_type: ConnectionType) -> None:
    first_received = asyncio.Event()
    received: list[tuple[str, bool]] = []

    async def handler(server: ServerConnection) -> None:
        await server.send("first")
        await first_received.wait()
        for text in ("second", "third"):
            await server.send(text)

    def receive(text: str) -> None:
        first_received.set()
        received.append((text, asyncio.current_task() is None))

    async with connected(connection_type, handler) as socket:
        with pytest.raises(NotAnsweringError):
            await socket.listen(receive)
    assert received[1:] == [("second", True), ("third", True)]


@both_connections
async def test_listen_fragments_are_joined_in_order(connection_type: ConnectionType) -> None:
    async def handler(server: ServerConnection) -> None:
        for message in ("a", ["b", "c", "d"], "e", [b"x", b"y"], b"z", "f"):
            await server.send(message)

    received: list[str] = []
    async with connected(connection_type, handler) as socket:
        with pytest.raises(NotAnsweringError):
            await socket.listen(received.append)
    assert received == ["a", "bcd", "e", "f"]


@both_connections
async def test_listen_texts_sent_earlier_come_first(connection_type: ConnectionType) -> None:
    all_sent = asyncio.Event()

    async def handler(server: ServerConnection) -> None:
        for number in range(100):
            await server.send(str(number))
        all_sent.set()

    received: list[str] = []
    async with connected(connection_type, handler) as socket:
        await all_sent.wait()
        with pytest.raises(NotAnsweringError):
            await socket.listen(received.append)
    assert received == [str(number) for number in range(100)]


@both_connections
@pytest.mark.parametrize("faulty", ["early", "late"])
async def test_listen_error_of_receiver_is_raised(connection_type: ConnectionType, faulty: str) -> None:
    first_received = asyncio.Event()
    received: list[str] = []

    async def handler(server: ServerConnection) -> None:
        await server.send("early")
        await first_received.wait()
        for text in ("late", "after it"):
            await server.send(text)
        await server.wait_closed()

    def receive(text: str) -> None:
        first_received.set()
        received.append(text)
        if text == faulty:
            raise LookupError(text)

    async with connected(connection_type, handler) as socket:
        with pytest.raises(LookupError, match=faulty):
            await socket.listen(receive)
    assert received[-1] == faulty


@both_connections
async def test_listen_text_that_is_not_utf8_closes(connection_type: ConnectionType) -> None:
    async def handler(server: ServerConnection) -> None:
        await server.send("good")
        await server.send(b"\xff", text=True)
        await server.send("after it")
        await server.wait_closed()

    received: list[str] = []
    async with connected(connection_type, handler) as socket:
        with pytest.raises(NotAnsweringError, match="1007"):
            await socket.listen(received.append)
    assert received == ["good"]


@pytest.mark.parametrize("connection_type", [TextConnection, FastConnection])
async def test_daemon_fast_frames_selects_connection(
    connection_type: ConnectionType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: asyncio.Queue[ConnectionType] = asyncio.Queue()

    def connection_made(connection: TextConnection, transport: asyncio.BaseTransport) -> None:
        opened.put_nowait(type(connection))
        super(TextConnection, connection).connection_made(transport)

    monkeypatch.setattr(TextConnection, "connection_made", connection_made)
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        data = {
            "servers": fleet.urls,
            "workflows_dir": str(WORKFLOWS),
            "listen": {"port": 0},
            "logging": {"file": None},
            **({"fast_frames": True} if connection_type is FastConnection else {}),
        }
        async with running_daemon(parse_settings(data, tmp_path, {})), asyncio.timeout(TIMEOUT_S):
            assert await opened.get() is connection_type
