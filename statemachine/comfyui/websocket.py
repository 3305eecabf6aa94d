"""A /ws connection that passes each text to a receiver as soon as its share of the event loop allows."""

import asyncio
from contextlib import suppress
from typing import Any

import websockets
from typing_extensions import override
from websockets.client import ClientProtocol
from websockets.frames import CloseCode
from websockets.protocol import State

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.framed_connection import FramedConnection
from statemachine.comfyui.handshake import HandshakeReader
from statemachine.comfyui.long_messages import shortened
from statemachine.comfyui.transport import Receive, Report, Socket, StreamTrouble, no_report
from statemachine.comfyui.turns import AT_ONCE_S, CALM_S, NOISY_S, FloodMeter, Turns
from statemachine.core.messages import message
from statemachine.settings.masking import Mask

MOST_UNREAD = 64 * 1024
"""Bytes that wait for a turn before reading pauses; one more read of the same size may follow."""


def _ignore(_: str) -> None:
    """Drop a text that arrives after the end of `listen`."""


class TextConnection(FramedConnection):
    """Call the receiver while bytes are read, instead of waking a task for each frame.

    What was read waits until `listen` is called, and while other connections have their turns. `has_more`: the
    connection waits for its turn.
    """

    __slots__ = (
        "_ended",
        "_handshake",
        "_is_finished",
        "_is_listening",
        "_is_paused",
        "_lost",
        "_meter",
        "_receive",
        "_report",
        "_turns",
        "_unread",
        "_waiting",
        "_waiting_size",
        "_waits_since",
        "has_more",
        "noisy_until",
    )

    def __init__(self, protocol: ClientProtocol, *, turns: Turns | None = None, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._turns = turns or Turns()
        self.has_more, self.noisy_until = False, 0.0
        self._is_listening, self._is_paused, self._is_finished = False, False, False
        self._receive: Receive = _ignore
        self._report: Report = no_report
        self._ended: asyncio.Future[None] | None = None
        self._handshake: HandshakeReader | None = None
        self._unread = b""
        self._waiting: list[bytes] = []
        """What was read while the connection waits for its turn. It follows `_unread`."""
        self._waiting_size = 0
        self._waits_since = 0.0
        self._lost: tuple[Exception | None] | None = None
        """Why the transport was lost while frames wait for their turn."""
        self._meter = FloodMeter(self._turns.now())

    async def listen(self, receive: Receive, report: Report = no_report) -> None:
        """Pass every text to `receive`. Raises ConnectionClosed, or what `receive` raised."""
        if self._is_finished:
            raise self.close_exc
        self._is_listening, self._receive, self._report = True, receive, report
        self._ended = self.loop.create_future()
        self._handle()
        try:
            await self._ended
        finally:
            self._drop_rest()

    @override
    async def close(self, code: CloseCode | int = 1000, reason: str = "") -> None:
        """Close within `close_timeout`. The library also waits, without a limit, until the server reads."""
        self._drop_rest()
        end = self.loop.call_later(self.close_timeout or 0.0, self._abort)
        try:
            await super().close(code, reason)
        finally:
            end.cancel()

    # What the transport calls

    @override
    def data_received(self, data: bytes) -> None:
        if self.response is None:
            data = self._pass_handshake(data)
        if not data:
            return
        if self.has_more or self.paused or not self._is_listening:
            self._waiting.append(data)
            self._waiting_size += len(data)
            self._limit_unread()
        else:
            self._unread = self._unread + data if self._unread else data
            self._handle()

    @override
    def eof_received(self) -> None:
        if self._handshake is not None and self._handshake.in_body:
            self._end_refusal(self._handshake.body(b"", has_ended=True))
        elif not self.has_more:
            super().eof_received()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.has_more and self._receive is not _ignore:
            self._lost = (exc,)
        else:
            self._finish(exc)

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait_for_turn()

    # Turns

    def take_turn(self, until: float) -> None:
        """Handle a run of frames, and others until that time."""
        if self._waiting:
            self._unread = b"".join((self._unread, *self._waiting))
            self._waiting.clear()
            self._waiting_size = 0
        data, at, self.has_more = self._unread, 0, False
        while at < len(data) and not (self.paused and self._lost is None):
            end = self._take(data, at)
            if end == at:
                break
            at = end
            if at < len(data) and self._turns.now() >= until:
                self.has_more = True
                break
        self._unread = data[at:]
        if not self.has_more and (self._waits_since or self._is_paused or self._lost is not None):
            self._caught_up()

    def _handle(self) -> None:
        """Handle what is unread, unless the connection is noisy or that takes long; the rest waits for a turn."""
        began, used_s = self._turns.now(), 0.0
        if began >= self.noisy_until:
            self.take_turn(began + AT_ONCE_S)
            used_s = self._turns.now() - began
            if used_s <= AT_ONCE_S and not self.has_more:
                return
            self.noisy_until, self.has_more = began + used_s + NOISY_S, False
            self._pause_reading()
        self._wait_for_turn(used_s)

    def _wait_for_turn(self, rest_s: float = 0.0) -> None:
        if not self.has_more and not self._is_finished:
            self.has_more, self._waits_since = True, self._turns.now()
            self._turns.wait(self, rest_s)
            self._limit_unread()

    def _limit_unread(self) -> None:
        if not self._is_listening or len(self._unread) + self._waiting_size > MOST_UNREAD:
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            with suppress(RuntimeError):  # the transport is closing
                self.transport.pause_reading()

    def _caught_up(self) -> None:
        """Go on reading after all that was read has been handled."""
        if self._waits_since:
            since, self._waits_since = self._waits_since, 0.0
            if self._meter.waited(since, self._turns.now()):
                self._report(StreamTrouble.FLOOD)
                self.loop.call_later(CALM_S, self._watch_flood)
        if self._lost is not None:
            self._finish(*self._lost)
        elif self._is_paused and not self.paused:
            self._is_paused = False
            with suppress(RuntimeError):  # the transport is closing
                self.transport.resume_reading()

    def _watch_flood(self) -> None:
        if self._is_finished:
            return
        if self._meter.has_ended(self._turns.now()):
            self._report(StreamTrouble.CALM)
        else:
            self.loop.call_later(CALM_S, self._watch_flood)

    # Texts and the end

    @override
    def _deliver(self, data: bytes | bytearray | memoryview) -> None:
        """Pass a text to the receiver. A text that is not UTF-8 ends the connection, an error ends `listen`."""
        try:
            text = str(data, "utf-8")
        except UnicodeDecodeError as error:
            self._fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
            return
        try:
            self._receive(text)
        except Exception as error:
            self._end(error)

    @override
    def _deliver_cut(self, beginning: bytes) -> None:
        self._report(StreamTrouble.CUT)
        if (text := shortened(str(beginning, "utf-8", "ignore"))) is not None:
            self._deliver(text.encode())

    @override
    def _discard(self) -> None:
        self._receive = _ignore
        super()._discard()

    def _pass_handshake(self, data: bytes) -> bytes:
        """Pass the server's response to the library; return what follows it. Drop a connection that has failed."""
        reader = self._handshake = self._handshake or HandshakeReader()
        lines, rest = ([], data) if reader.in_body else reader.lines(data)
        for line in lines:
            if line and self.protocol.handshake_exc is None:
                super().data_received(line)
        if self.response is not None and self.state is State.OPEN:
            self._handshake = None
            return rest
        if reader.in_body:
            self._end_refusal(reader.body(rest))
        elif self.protocol.handshake_exc is not None:
            self._abort()
        return b""

    def _end_refusal(self, body: bytes | None) -> None:
        """Pass a refusal's body to the library once it has been read."""
        if body is None or self.response is not None:
            return
        if body:
            super().data_received(body)
        super().eof_received()
        self._pause_reading()

    def _end(self, error: Exception) -> None:
        """End `listen` with this error."""
        self._receive = _ignore
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _drop_rest(self) -> None:
        """Read on without a receiver, until the server closes the connection."""
        self._is_listening, self._receive = True, _ignore
        if self._lost is not None:
            self._finish(*self._lost)
        self._wait_for_turn()

    def _finish(self, error: Exception | None) -> None:
        if self._is_finished:
            return
        self._is_finished, self._lost, self._unread = True, None, b""
        self._waiting.clear()
        super().connection_lost(error)
        self._end(self.close_exc)


class WebSocket(Socket):
    """The Socket over a TextConnection. `mask` knows the secrets that the server may echo."""

    def __init__(self, connection: TextConnection, mask: Mask) -> None:
        self._connection = connection
        self._mask = mask

    @override
    async def listen(self, receive: Receive, report: Report = no_report) -> None:
        try:
            await self._connection.listen(receive, report)
        except websockets.ConnectionClosed as error:
            reason = " ".join(str(error).split())
            raise NotAnsweringError(message("ws_closed", error=self._mask.text(reason))) from error

    @override
    def hide(self, text: str) -> str:
        return self._mask.text(text, is_cut=True)

    @override
    async def close(self) -> None:
        await self._connection.close()
