"""The /ws connection for the setting `fast_frames`, which parses the common frames itself."""

import math

from typing_extensions import override
from websockets.frames import Frame
from websockets.protocol import Event, State

from statemachine.comfyui.websocket import TextConnection

WHOLE_TEXT = 0x81
"""The first byte of an unfragmented text frame: FIN and the opcode (RFC 6455, 5.2)."""

LENGTH_IN_2_BYTES, LENGTH_IN_8_BYTES = 126, 127
"""Values of a frame's second byte. A lower value is the length; a higher one means a masked frame, an error."""

MAX_HEADER = 4
"""Bytes. The library parses frames with a longer header, which are 64 KiB or larger."""

END_OF_HANDSHAKE = b"\r\n\r\n"


class FastConnection(TextConnection):
    """Take whole texts out of the stream before the library parses them.

    This is possible only at the start of a frame, so `_held` counts the bytes that the library has received and not
    yet returned as frames. Everything but a whole text goes to the library: the handshake, control frames, fragments,
    large frames, and a frame that arrives in several pieces.
    """

    _held: float = math.inf
    """Bytes, 0 at the start of a frame. Infinite while unknown; the library then parses everything."""

    @override
    def data_received(self, data: bytes) -> None:
        if not self._held and self.state is State.OPEN:
            data = self._take_texts(data)
        if not data:
            return
        if self.response is None:
            _, end, frames = data.partition(END_OF_HANDSHAKE)
            self._held = len(frames) if end else math.inf
        else:
            self._held += len(data)
        super().data_received(data)

    @override
    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame):
            self._held -= _frame_size(len(event.data))
        super().process_event(event)

    def _take_texts(self, data: bytes) -> bytes:
        """Deliver the whole texts at the start of `data`; return the rest."""
        at, last = 0, len(data) - MAX_HEADER
        while at <= last and data[at] == WHOLE_TEXT:
            length, start = data[at + 1], at + 2
            if length == LENGTH_IN_2_BYTES:
                length, start = data[at + 2] << 8 | data[at + 3], at + MAX_HEADER
            elif length >= LENGTH_IN_8_BYTES:
                break
            end = start + length
            if end > len(data) or not self._deliver(data[start:end]):
                break
            at = end
        return data[at:]


def _frame_size(length: int) -> int:
    """Return the least number of bytes of a frame with `length` bytes of data.

    If a server writes a longer header than it needs, `_held` never returns to 0 and the library parses everything.
    """
    if length < LENGTH_IN_2_BYTES:
        return 2 + length
    return (4 if length <= 0xFFFF else 10) + length  # noqa: PLR2004
