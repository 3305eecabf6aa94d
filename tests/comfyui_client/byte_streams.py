"""A /ws connection without a network: the test passes on the bytes that the server sends."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from statemachine.comfyui.fast_websocket import FastConnection
from statemachine.comfyui.turns import Turns
from statemachine.comfyui.websocket import TextConnection

ConnectionType = type[TextConnection]

both_connections = pytest.mark.parametrize("connection_type", [TextConnection, FastConnection])


class FakeByteTransport:
    """A transport that drops what is written, and records whether reading is paused."""

    paused = False
    on_abort: Callable[[], None] = staticmethod(lambda: None)

    def write(self, data: Any) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None: ...

    def abort(self) -> None:
        self.on_abort()


class Stream:
    """A connection over a FakeByteTransport, and the handshake that the server sends on it."""

    def __init__(self, connection_type: ConnectionType, now: Callable[[], float] = lambda: 0.0) -> None:
        """`now` is the clock of the connection's turns. While it stands still, every frame is handled at once."""
        client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
        self.connection = connection_type(client, turns=Turns(now), ping_interval=None)
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
