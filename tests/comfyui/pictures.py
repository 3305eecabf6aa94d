"""Small pictures whose shade tells them apart."""

import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"


def png(red: int) -> bytes:
    """Return a picture of 8 by 8 pixels in this shade of red."""
    rows = (b"\0" + bytes([red, 0, 0]) * 8) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def shade(data: bytes) -> int:
    """Return the red of the first pixel of a picture, which no filter of PNG changes."""
    at, pixels = len(PNG), b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        pixels += data[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return zlib.decompress(pixels)[1]
