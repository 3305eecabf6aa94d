"""How messages leave a /ws connection: at once, in order, and never past a fault of whoever receives them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets import ConnectionClosed
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.transport import Socket
from statemachine.comfyui.websocket import EagerConnection


@asynccontextmanager
async def connected(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Socket]:
    """A socket to a server that says what `talk` says, and closes."""
    async with serve(talk, "127.0.0.1", 0) as server, new_session() as session:
        port = server.sockets[0].getsockname()[1]
        socket = await NetworkTransport(session, f"http://127.0.0.1:{port}", {}, lambda: 5.0).connect("me")
        yield socket
        await socket.close()


async def test_a_text_is_handed_over_as_it_is_read_and_wakes_no_task() -> None:
    """Outside of any task, that is by the transport's own callback: else the library no longer calls our method."""
    heard_first = asyncio.Event()
    heard: list[tuple[str, bool]] = []

    async def talk(server: ServerConnection) -> None:
        await server.send("first")
        await heard_first.wait()
        for text in ("second", "third"):
            await server.send(text)

    def receive(text: str) -> None:
        heard_first.set()
        heard.append((text, asyncio.current_task() is None))

    async with connected(talk) as socket:
        with pytest.raises(NotAnsweringError):
            await socket.listen(receive)
    assert heard[1:] == [("second", True), ("third", True)]


async def test_fragments_are_one_text_and_nothing_overtakes_it() -> None:
    async def talk(server: ServerConnection) -> None:
        for said in ("a", ["b", "c", "d"], "e", [b"x", b"y"], b"z", "f"):
            await server.send(said)

    heard: list[str] = []
    async with connected(talk) as socket:
        with pytest.raises(NotAnsweringError):
            await socket.listen(heard.append)
    assert heard == ["a", "bcd", "e", "f"]


async def test_what_came_before_anybody_listened_comes_first() -> None:
    said_all = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        for number in range(100):
            await server.send(str(number))
        said_all.set()

    heard: list[str] = []
    async with connected(talk) as socket:
        await said_all.wait()
        with pytest.raises(NotAnsweringError):
            await socket.listen(heard.append)
    assert heard == [str(number) for number in range(100)]


@pytest.mark.parametrize("faulty", ["early", "late"])
async def test_a_fault_of_the_receiver_ends_the_listening_and_is_not_lost(faulty: str) -> None:
    heard_first = asyncio.Event()
    heard: list[str] = []

    async def talk(server: ServerConnection) -> None:
        await server.send("early")
        await heard_first.wait()
        for text in ("late", "after it"):
            await server.send(text)
        await server.wait_closed()

    def receive(text: str) -> None:
        heard_first.set()
        heard.append(text)
        if text == faulty:
            raise LookupError(text)

    async with connected(talk) as socket, asyncio.timeout(5):
        with pytest.raises(LookupError, match=faulty):
            await socket.listen(receive)
    assert heard[-1] == faulty


# However the network cuts the stream into pieces.

LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])


def text(length: int) -> tuple[list[str], list[Frame]]:
    return ["x" * length], [Frame(Opcode.TEXT, b"x" * length)]


def in_fragments(parts: list[int]) -> tuple[list[str], list[Frame]]:
    """With a ping between them, as it is allowed."""
    last = len(parts) - 1
    frames = [
        one
        for number, length in enumerate(parts)
        for one in (
            Frame(Opcode.CONT if number else Opcode.TEXT, b"y" * length, fin=number == last),
            Frame(Opcode.PING, b"?"),
        )
    ]
    return ["y" * sum(parts)], frames


def preview(length: int) -> tuple[list[str], list[Frame]]:
    return [], [Frame(Opcode.BINARY, b"z" * length)]


SAID = st.lists(
    st.builds(text, LENGTHS)
    | st.builds(preview, LENGTHS)
    | st.builds(in_fragments, st.lists(LENGTHS, min_size=2, max_size=3)),
    max_size=6,
)


class Nowhere:
    """Takes everything."""

    def write(self, data: Any) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...


def shaken(client: ClientProtocol) -> bytes:
    """What a server answers to the client's handshake."""
    client.send_request(client.connect())
    server = ServerProtocol()
    server.receive_data(b"".join(client.data_to_send()))
    [request] = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    return b"".join(server.data_to_send())


async def heard_of(frames: Sequence[Frame], cuts: Sequence[int], turns: Sequence[bool]) -> list[str]:
    """What is heard of a stream that is cut into pieces of these sizes; at some cuts the loop has its turn."""
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
    connection = EagerConnection(client, ping_interval=None)
    connection.connection_made(cast("asyncio.Transport", Nowhere()))
    stream = shaken(client) + b"".join(frame.serialize(mask=False) for frame in frames)
    heard: list[str] = []
    listening = asyncio.create_task(connection.listen(heard.append))
    at = 0
    for number, size in enumerate([*cuts, len(stream)]):
        connection.data_received(stream[at : at + size])
        at += size
        if turns[number % len(turns)]:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    connection.connection_lost(None)
    with suppress(ConnectionClosed):
        await listening
    return heard


@given(
    said=SAID, cuts=st.lists(st.integers(1, 400), max_size=20), turns=st.lists(st.booleans(), min_size=1, max_size=4)
)
def test_texts_come_whole_and_in_order(
    said: list[tuple[list[str], list[Frame]]], cuts: list[int], turns: list[bool]
) -> None:
    frames = [frame for _, one in said for frame in one]
    expected = [text for texts, _ in said for text in texts]
    assert asyncio.run(heard_of(frames, cuts, turns)) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_stream_may_come_in_the_smallest_pieces(size: int) -> None:
    frames = [
        frame for one in (text(0), text(125), text(126), preview(130), in_fragments([3, 200])) for frame in one[1]
    ]
    heard = asyncio.run(heard_of([*frames, Frame(Opcode.TEXT, b"end")], [size] * 2_000, [False]))
    assert [len(one) for one in heard] == [0, 125, 126, 203, 3]
