"""The encodings of a body, unpacked piece by piece, so that a small answer cannot become a huge one at once."""

import zlib
from collections.abc import Iterator

ACCEPT_ENCODING = "gzip, deflate"
PIECE = 4 * 1024
"""Bytes that are handled at once."""

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15
_DEFLATE_METHOD = 8


def in_pieces(data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces of limited size."""
    return (data[at : at + PIECE] for at in range(0, len(data), PIECE))


class Unpacker:
    """Unpacks the chunks of one body with this Content-Encoding. Its methods raise zlib.error."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        self._decoder: zlib._Decompress | None = None
        self.received = 0
        """Bytes of the chunks. A packed body may be endless and have no content."""

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the content of the next chunk in pieces of limited size."""
        self.received += len(chunk)
        if self._encoding in ("", "identity"):
            yield from in_pieces(chunk)
        elif chunk:
            decoder = self._decoder = self._decoder or self._new_decoder(chunk)
            while not decoder.eof and (piece := decoder.decompress(chunk, PIECE)):
                yield piece
                chunk = decoder.unconsumed_tail

    def finish(self) -> None:
        """Check that the body was complete."""
        if self._decoder is not None and not self._decoder.eof:
            raise zlib.error("incomplete body")

    def _new_decoder(self, chunk: bytes) -> "zlib._Decompress":
        """Return the decoder. Some servers send `deflate` without zlib's header (RFC 1950)."""
        if self._encoding not in _WINDOW_BITS:
            raise zlib.error(f"unknown encoding {self._encoding}")
        bits = _WINDOW_BITS[self._encoding]
        is_raw = self._encoding == "deflate" and chunk[0] & 0xF != _DEFLATE_METHOD
        return zlib.decompressobj(_RAW_DEFLATE if is_raw else bits)
