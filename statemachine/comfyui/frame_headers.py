"""Headers of WebSocket frames (RFC 6455, 5.2), as far as a client must understand them to follow a stream."""

from typing import NamedTuple

FIN, OPCODE = 0x80, 0x0F
CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
WHOLE_TEXT = FIN | TEXT
CLOSE = FIN | 0x8
CONTROL = frozenset({CLOSE, FIN | 0x9, FIN | 0xA})
CONTROL_OR_TEXT = CONTROL | {WHOLE_TEXT}
DATA = frozenset({CONTINUATION, TEXT, BINARY, FIN | CONTINUATION, WHOLE_TEXT, FIN | BINARY})
"""First bytes of valid frames. The others have reserved bits or opcodes, or are fragments of control frames."""

LENGTH_IN_2_BYTES, LENGTH_IN_8_BYTES = 126, 127
"""Values of a frame's second byte. A lower value is the length; a higher one means a masked frame, an error."""

LONGEST_CONTROL = 125
SHORTEST_HEADER = 2

LONGEST_IN_RUN = 64 * 1024
RUN, RUN_BYTES = 16, 16 * 1024
"""Most frames of a run, and the bytes after which it ends. The clock is read between runs."""


class Header(NamedTuple):
    """The first byte of a frame, and where its data begins and ends."""

    first: int
    start: int
    end: int
    is_masked: bool = False


def header_at(data: bytes, at: int) -> Header | None:
    """Return the header of the frame that begins there; None if it is not complete."""
    start = at + 2
    if start > len(data):
        return None
    first, length = data[at], data[at + 1]
    if length < LENGTH_IN_2_BYTES:
        return Header(first, start, start + length)
    if length > LENGTH_IN_8_BYTES:
        return Header(first, start, start, is_masked=True)
    extended = start + (2 if length == LENGTH_IN_2_BYTES else 8)
    if extended > len(data):
        return None
    return Header(first, extended, extended + int.from_bytes(data[start:extended], "big"))


def run_end(data: bytes, at: int, first_bytes: frozenset[int]) -> tuple[int, int]:
    """Return where a run of whole frames with these first bytes ends, at a close frame at the latest, and their number.

    A masked or a long frame ends the run.
    """
    end, frames, size = at, 0, len(data)
    last = min(size - SHORTEST_HEADER, at + RUN_BYTES)
    while end <= last and frames < RUN and (first := data[end]) in first_bytes:
        length, start = data[end + 1], end + SHORTEST_HEADER
        if length >= LENGTH_IN_2_BYTES:
            header = header_at(data, end)
            if header is None or header.is_masked:
                break
            start, length = header.start, header.end - header.start
        if start + length > size or length > LONGEST_IN_RUN:
            break
        end = start + length
        frames += 1
        if first == CLOSE:
            break
    return end, frames
