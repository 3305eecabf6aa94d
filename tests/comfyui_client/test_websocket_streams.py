"""What a /ws connection reads from streams that are cut into pieces of any size."""

import asyncio
import json
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override
from websockets import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

from statemachine.comfyui.fast_websocket import FastConnection
from statemachine.comfyui.frames import decode
from statemachine.core import events
from tests.comfyui_client.byte_streams import ConnectionType, Stream, both_connections, wire
from tests.support.polling import PATIENCE_S

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


async def until_reading(stream: Stream) -> None:
    """Wait until the connection reads: on a busy machine its frames may have to wait for a turn."""
    for _ in range(2_000):
        if not stream.transport.paused:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the connection does not read")


async def received_from(
    connection_type: ConnectionType, frames: Sequence[Frame], cuts: Sequence[int], turns: Sequence[bool]
) -> list[str]:
    """Return the texts of a stream in pieces of the sizes `cuts`; the event loop runs after a piece with a turn.

    The clock of the connection's turns is so fast that most frames have to wait.
    """
    stream = Stream(connection_type, count(0.0, 0.0008).__next__)
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
    await until_reading(stream)
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
    before, read_before = stream.connection.parsed, len(received)
    for length in (10, 200, 65_535):
        stream.connection.data_received(wire([Frame(Opcode.TEXT, b"x" * length)] * 3))
    assert stream.connection.parsed == before
    assert len(received) == read_before + 9
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


@both_connections
@pytest.mark.parametrize("fragments", [1, 40])
async def test_listen_long_error_keeps_what_matters(connection_type: ConnectionType, fragments: int) -> None:
    """ComfyUI quotes the inputs of the node that raised, which may have many MB."""
    data = {"prompt_id": "ours", "node_id": "3", "exception_message": "x", "current_inputs": {"image": "y" * 2_000_000}}
    whole = json.dumps({"type": "execution_error", "data": data}).encode()
    size = len(whole) // fragments + 1
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    frames = [
        Frame(Opcode.CONT if number else Opcode.TEXT, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    [text] = await received_from(connection_type, frames, [], [True])
    event = decode(text)
    assert isinstance(event, events.PromptFailed)
    assert event.prompt_id == "ours"


@both_connections
async def test_connection_keeps_little_of_long_messages(connection_type: ConnectionType) -> None:
    stream = Stream(connection_type)
    stream.connection.data_received(stream.handshake)
    listening = asyncio.create_task(stream.connection.listen(lambda _: None))
    await asyncio.sleep(0)
    for opcode in (Opcode.TEXT, Opcode.BINARY):
        tracemalloc.start()
        data = wire([Frame(opcode, b'{"type": "x"' + b"x" * 8_000_000)])
        before, at = tracemalloc.get_traced_memory()[0], 0
        while at < len(data) - 1:
            stream.connection.data_received(data[at : at + 100_000])
            at += 100_000
            await until_reading(stream)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 1_000_000
    listening.cancel()


@both_connections
async def test_connection_that_cannot_send_pongs_reads_no_more(connection_type: ConnectionType) -> None:
    stream = Stream(connection_type)
    stream.connection.data_received(stream.handshake)
    received: list[str] = []
    all_received = asyncio.Event()

    def receive(text: str) -> None:
        received.append(text)
        if len(received) == 10:
            all_received.set()

    listening = asyncio.create_task(stream.connection.listen(receive))
    await asyncio.sleep(0)
    stream.connection.pause_writing()
    for _ in range(10):
        stream.connection.data_received(wire([Frame(Opcode.PING, b"x" * 125)] * 100 + [Frame(Opcode.TEXT, b"last")]))
    assert stream.transport.paused
    assert received == []
    stream.connection.resume_writing()
    await asyncio.wait_for(all_received.wait(), 5.0)
    await until_reading(stream)
    listening.cancel()


@both_connections
async def test_close_does_not_wait_for_server_that_reads_nothing(connection_type: ConnectionType) -> None:
    stream = Stream(connection_type)
    stream.transport.on_abort = lambda: stream.connection.connection_lost(None)
    stream.connection.data_received(stream.handshake)
    stream.connection.close_timeout = 0.01
    stream.connection.pause_writing()
    await asyncio.wait_for(stream.connection.close(), PATIENCE_S)
    assert stream.connection.state is State.CLOSED
