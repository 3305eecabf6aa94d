"""The /ws connection for the setting `fast_frames`, which parses whole texts itself."""

from typing_extensions import override

from statemachine.comfyui.frame_headers import LENGTH_IN_2_BYTES, LENGTH_IN_8_BYTES, RUN, RUN_BYTES, WHOLE_TEXT
from statemachine.comfyui.websocket import TextConnection

MAX_HEADER = 4
"""Bytes. Frames with a longer header, which are 64 KiB or larger, are not parsed here."""


class FastConnection(TextConnection):
    """Deliver whole texts from the stream without the library."""

    __slots__ = ()

    @override
    def _take_run(self, data: bytes, at: int) -> int:
        if self._message is not None:
            return super()._take_run(data, at)
        end, frames, size, deliver = at, 0, len(data), self._deliver
        last = min(size - MAX_HEADER, at + RUN_BYTES)
        while end <= last and data[end] == WHOLE_TEXT and frames < RUN:
            length, start = data[end + 1], end + 2
            if length == LENGTH_IN_2_BYTES:
                length, start = data[end + 2] << 8 | data[end + 3], end + MAX_HEADER
            elif length >= LENGTH_IN_8_BYTES:
                break
            if start + length > size:
                break
            end = start + length
            frames += 1
            deliver(data[start:end])
        return end if frames else super()._take_run(data, at)
