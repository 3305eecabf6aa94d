"""What a /ws connection reads from streams that are cut into pieces of any size."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override
from websockets import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from statemachine.comfyui.fast_websocket import FastConnection
from tests.comfyui_client.byte_streams import ConnectionType, Stream, both_connections, wire

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
