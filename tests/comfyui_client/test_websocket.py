"""How a /ws connection delivers texts: at once, in order, and none after the receiver has raised."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override
from websockets import ConnectionClosed
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.fast_websocket import FastConnection
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.transport import Socket
from statemachine.comfyui.websocket import TextConnection
from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, running_fleet
from tests.support.paths import WORKFLOWS

ConnectionType = type[TextConnection]
TIMEOUT_S = 5.0

both_connections = pytest.mark.parametrize("connection_type", [TextConnection, FastConnection])


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


# Streams cut into pieces of any size.

LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])

Message = tuple[list[str], list[Frame]]
"""The texts to receive, and the frames that carry them."""


def text(length: int) -> Message:
    return ["x" * length], [Frame(Opcode.TEXT, b"x" * length)]


def fragmented(lengths: list[int]) -> Message:
    """Return a text in fragments, with a ping after each."""
    last = len(lengths) - 1
    frames = [
        frame
        for number, length in enumerate(lengths)
        for frame in (
            Frame(Opcode.CONT if number else Opcode.TEXT, b"y" * length, fin=number == last),
            Frame(Opcode.PING, b"?"),
        )
    ]
    return ["y" * sum(lengths)], frames


def preview(length: int) -> Message:
    return [], [Frame(Opcode.BINARY, b"z" * length)]


MESSAGES = st.lists(
    st.builds(text, LENGTHS)
    | st.builds(preview, LENGTHS)
    | st.builds(fragmented, st.lists(LENGTHS, min_size=2, max_size=3)),
    max_size=6,
)


class FakeByteTransport:
    """A transport that drops what is written, and records whether reading is paused."""

    paused = False

    def write(self, data: Any) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None: ...


class Stream:
    """A connection over a FakeByteTransport, and the handshake that the server sends on it."""

    def __init__(self, connection_type: ConnectionType) -> None:
        client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
        self.connection = connection_type(client, ping_interval=None)
        self.transport = FakeByteTransport()
        self.connection.connection_made(cast("asyncio.Transport", self.transport))
        self.handshake = handshake_for(client)


def handshake_for(client: ClientProtocol) -> bytes:
    """Return the server's response to the client's handshake."""
    client.send_request(client.connect())
    server = ServerProtocol()
    server.receive_data(b"".join(client.data_to_send()))
    [request] = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    return b"".join(server.data_to_send())


def wire(frames: Sequence[Frame]) -> bytes:
    return b"".join(frame.serialize(mask=False) for frame in frames)


async def received_from(
    connection_type: ConnectionType, frames: Sequence[Frame], cuts: Sequence[int], turns: Sequence[bool]
) -> list[str]:
    """Return the texts of a stream in pieces of the sizes `cuts`; the event loop runs after a piece with a turn."""
    stream = Stream(connection_type)
    data = stream.handshake + wire(frames)
    received: list[str] = []
    listening = asyncio.create_task(stream.connection.listen(received.append))
    at = 0
    for number, size in enumerate([*cuts, len(data)]):
        stream.connection.data_received(data[at : at + size])
        at += size
        if turns[number % len(turns)]:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    stream.connection.connection_lost(None)
    with suppress(ConnectionClosed):
        await listening
    return received


@both_connections
@given(
    messages=MESSAGES,
    cuts=st.lists(st.integers(1, 400), max_size=20),
    turns=st.lists(st.booleans(), min_size=1, max_size=4),
)
def test_listen_cut_stream_gives_whole_texts_in_order(
    connection_type: ConnectionType, messages: list[Message], cuts: list[int], turns: list[bool]
) -> None:
    frames = [frame for _, of_message in messages for frame in of_message]
    expected = [one for texts, _ in messages for one in texts]
    assert asyncio.run(received_from(connection_type, frames, cuts, turns)) == expected


@both_connections
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_listen_stream_of_small_pieces_is_read(connection_type: ConnectionType, size: int) -> None:
    messages = [text(0), text(125), text(126), preview(130), fragmented([3, 200]), text(3)]
    frames = [frame for _, of_message in messages for frame in of_message]
    received = asyncio.run(received_from(connection_type, frames, [size] * 2_000, [False]))
    assert [len(one) for one in received] == [0, 125, 126, 203, 3]


@both_connections
async def test_connection_without_listener_pauses_reading(connection_type: ConnectionType) -> None:
    stream = Stream(connection_type)
    stream.connection.data_received(stream.handshake + wire([Frame(Opcode.TEXT, b"x")] * 100))
    assert stream.transport.paused
    received: list[str] = []
    listening = asyncio.create_task(stream.connection.listen(received.append))
    await asyncio.sleep(0)
    assert not stream.transport.paused
    assert len(received) == 100
    listening.cancel()


class RecordingConnection(FastConnection):
    """A FastConnection that records the frames that the library has parsed."""

    parsed = 0

    @override
    def process_event(self, event: Event) -> None:
        self.parsed += isinstance(event, Frame)
        super().process_event(event)


@pytest.mark.parametrize("in_handshake", [b"", wire([Frame(Opcode.TEXT, b"first")])], ids=["apart", "together"])
async def test_fast_connection_parses_whole_texts_itself(in_handshake: bytes) -> None:
    stream = Stream(RecordingConnection)
    assert isinstance(stream.connection, RecordingConnection)
    received: list[str] = []
    stream.connection.data_received(stream.handshake + in_handshake)
    listening = asyncio.create_task(stream.connection.listen(received.append))
    await asyncio.sleep(0)
    before = stream.connection.parsed
    for length in (10, 200, 65_535):
        stream.connection.data_received(wire([Frame(Opcode.TEXT, b"x" * length)] * 3))
    assert stream.connection.parsed == before
    assert len(received) == before + 9
    listening.cancel()


@pytest.mark.parametrize(
    "data",
    [b"\x81\x7e\x00\x01x", b"\x81\x7f" + (1).to_bytes(8, "big") + b"x"],
    ids=["2-byte length", "8-byte length"],
)
async def test_fast_connection_long_header_is_read(data: bytes) -> None:
    stream = Stream(FastConnection)
    received: list[str] = []
    stream.connection.data_received(stream.handshake)
    listening = asyncio.create_task(stream.connection.listen(received.append))
    await asyncio.sleep(0)
    stream.connection.data_received(data[:3])
    stream.connection.data_received(data[3:] + data)
    stream.connection.data_received(data)
    assert received == ["x"] * 3
    listening.cancel()


async def test_fast_connection_masked_frame_closes() -> None:
    stream = Stream(FastConnection)
    received: list[str] = []
    stream.connection.data_received(stream.handshake)
    listening = asyncio.create_task(stream.connection.listen(received.append))
    await asyncio.sleep(0)
    stream.connection.data_received(Frame(Opcode.TEXT, b"text").serialize(mask=True))
    stream.connection.connection_lost(None)
    with pytest.raises(ConnectionClosed, match="1002"):
        await listening
    assert received == []


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
