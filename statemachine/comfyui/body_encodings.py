"""The encodings of an answer's body: its Content-Encoding, and the charset of its Content-Type.

A body is unpacked piece by piece, so that a small answer cannot become a huge one at once. Check APIs of Windows
servers may answer in GBK, for example.
"""

import codecs
import encodings
import pkgutil
import re
import zlib
from collections.abc import Iterator
from encodings.aliases import aliases

ACCEPT_ENCODING = "gzip, deflate"
PIECE = 4 * 1024
"""Bytes that are handled at once."""

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15
_DEFLATE_METHOD = 8

_PARAMETER = re.compile(r";\s*charset\s*=\s*[\"']?(?:x-)?([\w.:+-]+)", re.IGNORECASE)
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}
"""As browsers do: texts that are declared as the older charset have characters of the newer one."""

_WINDOWS = re.compile(r"^windows-(?=9\d\d$)", re.IGNORECASE)
"""The East Asian code pages, which Python knows as `cp936`."""

_CHARSET = re.compile(r"utf-16|utf-32|gb|hz$|big5|cp\d|euc_|shift_jis|iso2022|iso8859|koi8|tis-620|ptcp154|johab")
"""Python's codecs for text on the web. Others are not charsets (`idna`) or take quadratic time (`punycode`)."""

_CODECS = frozenset((*aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))))
"""Names that may be looked up. Python keeps every unknown name that it was asked for."""

_SEVEN_BIT = re.compile(r"hz|iso2022")
"""Charsets in which every text is also valid UTF-8."""


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


def as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a body in UTF-8 if it declares another charset and is valid in it, else the body itself.

    Some frameworks declare a default for what is UTF-8. A Chinese text in another charset is practically never valid
    UTF-8.
    """
    charset = _charset(content_type)
    if charset is None or (not _SEVEN_BIT.match(charset) and _is_utf8(body)):
        return body
    try:
        return body.decode(charset).encode()
    except UnicodeError:
        return body


def _charset(content_type: str) -> str | None:
    """Return the codec of a declared charset, None for UTF-8 or an unknown one."""
    declared = _PARAMETER.search(content_type)
    if declared is None:
        return None
    module = encodings.normalize_encoding(_WINDOWS.sub("cp", declared[1])).lower()
    if module not in _CODECS:
        return None
    try:
        name = codecs.lookup(module).name
    except LookupError:
        return None
    return _SUPERSETS.get(name, name) if _CHARSET.match(name) else None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body
