"""A /ws connection that follows the frames of its stream, so that it can stop after any of them.

The library parses whole texts and control frames. Longer texts and fragments are joined here, and previews are skipped
as they arrive: neither may fill the memory or occupy the event loop.
"""

from abc import abstractmethod
from typing import Any

from typing_extensions import override
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event

from statemachine.comfyui.frame_headers import (
    BINARY,
    CONTINUATION,
    CONTROL,
    CONTROL_OR_TEXT,
    DATA,
    FIN,
    LONGEST_CONTROL,
    OPCODE,
    Header,
    header_at,
    run_end,
)
from statemachine.comfyui.long_messages import LongMessage

MAX_MESSAGE = 32 * 1024 * 1024
"""Bytes. Previews have many MB; a longer message ends the connection."""

ABORT_S = 1.0
"""Time for the server to close a connection that has failed."""


class FramedConnection(ClientConnection):
    """Follow the frames of an open connection from their beginning."""

    __slots__ = ("_is_discarding", "_is_final", "_left", "_message")

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._message: LongMessage | None = None
        """The message that has begun and not ended."""
        self._left = 0
        """Bytes of the present frame of `_message` that are still to come."""
        self._is_final = False
        """Whether the present frame is the last one of `_message`."""
        self._is_discarding = False
        """Whether the library discards what is read: after an error, or after the server has closed the connection."""

    @abstractmethod
    def _deliver(self, data: bytes | bytearray | memoryview) -> None:
        """Pass on a text."""

    @abstractmethod
    def _deliver_cut(self, beginning: bytes) -> None:
        """Pass on what can be used of the beginning of a text."""

    @override
    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
            self._deliver(event.data)
        else:
            super().process_event(event)

    def _take(self, data: bytes, at: int) -> int:
        """Handle some frames of the stream; return where they end, `at` if the next one is not complete."""
        if self._is_discarding:
            super().data_received(data[at:])
            return len(data)
        if self._left:
            return self._continue_frame(data, at)
        end = self._take_run(data, at)
        return end if end > at else self._begin_frame(data, at)

    def _take_run(self, data: bytes, at: int) -> int:
        """Pass whole texts and control frames to the library; return where they end."""
        end, frames = run_end(data, at, CONTROL if self._message is not None else CONTROL_OR_TEXT)
        if frames:
            super().data_received(data[at:end])
            if self.protocol.close_rcvd is not None or self.protocol.parser_exc is not None:
                self._discard()
        return end

    def _begin_frame(self, data: bytes, at: int) -> int:
        """Begin a frame that is not a whole text; return where its data begins."""
        header = header_at(data, at)
        if header is None:
            return at
        first, start, end, is_masked = header
        if first in CONTROL and end - start <= LONGEST_CONTROL and not is_masked:
            return at
        if first not in DATA or is_masked:
            self._discard()
            super().data_received(data[at:])
            return len(data)
        self._begin_data(header)
        return start

    def _begin_data(self, header: Header) -> None:
        is_continuation = header.first & OPCODE == CONTINUATION
        if is_continuation is (self._message is None):
            what = "unexpected" if is_continuation else "expected a"
            self._fail(CloseCode.PROTOCOL_ERROR, f"{what} continuation frame")
            return
        message = self._message or LongMessage(is_text=header.first & OPCODE != BINARY)
        size = header.end - header.start
        message.size += size
        if message.size > MAX_MESSAGE:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"message exceeds limit of {MAX_MESSAGE} bytes")
            return
        self._message, self._left, self._is_final = message, size, bool(header.first & FIN)
        if not size:
            self._end_frame()

    def _continue_frame(self, data: bytes, at: int) -> int:
        assert self._message is not None  # noqa: S101 - `_left` is of its frame
        end = min(len(data), at + self._left)
        self._message.add(data[at:end])
        self._left -= end - at
        if not self._left:
            self._end_frame()
        return end

    def _end_frame(self) -> None:
        message = self._message
        if message is None or not self._is_final:
            return
        self._message = None
        if message.text is not None:
            (self._deliver_cut if message.is_cut else self._deliver)(message.text)

    def _fail(self, code: CloseCode, reason: str) -> None:
        """Close the connection because of what the server has sent."""
        self.protocol.fail(code, reason)
        self.send_data()
        self._discard()

    def _discard(self) -> None:
        """Discard what follows, and end the connection soon even if the server does not."""
        self._is_discarding, self._message, self._left = True, None, 0
        self.loop.call_later(ABORT_S, self._abort)

    def _abort(self) -> None:
        self.transport.abort()
