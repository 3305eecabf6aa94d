"""Pictures of one colour, written and read without a library."""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIDE = 8

Colour = tuple[int, int, int]


def picture(colour: Colour) -> bytes:
    """Return a PNG file of 8 by 8 pixels."""
    rows = (b"\0" + bytes(colour) * SIDE) * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def colour_of(png: bytes) -> Colour:
    """Return the colour of the first pixel of a PNG file, which no filter of PNG changes."""
    pixels = zlib.decompress(b"".join(data for kind, data in _parts(png) if kind == b"IDAT"))
    return pixels[1], pixels[2], pixels[3]


def inverted(colour: Colour) -> Colour:
    """Return what ComfyUI's node ImageInvert makes of a colour."""
    red, green, blue = colour
    return 255 - red, 255 - green, 255 - blue


def is_close(one: Colour, other: Colour) -> bool:
    """Return whether the colours differ by no more than ComfyUI's rounding down."""
    return all(abs(left - right) <= 1 for left, right in zip(one, other, strict=True))


def _parts(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        yield kind, png[at + 8 : at + 8 + size]
        at += size + 12
