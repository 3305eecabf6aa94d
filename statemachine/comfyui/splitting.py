"""Read a large JSON answer in pieces and keep what is needed of each of its entries.

Only one entry at a time is in memory and parsed, so the work between two turns of the event loop is bounded.
"""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from statemachine.comfyui import server_json

MAX_ENTRY = 4 * 2**20
"""Bytes of an entry, without what is dropped of its long texts."""
MAX_KEPT = 4 * 2**20
"""Bytes that are kept of all entries together."""
MAX_ENTRIES = 5_000
MAX_BRACKETS = 1_000_000
"""Opening brackets of an answer. A prompt with its workflow in UI format has some thousands."""
LONG_TEXT = 32 * 1024
"""Bytes that are kept of a text that two pieces share. A message shows 2,000 characters."""
KEY_LOOKED_FOR = 1_024
"""Bytes before an entry in which to look for its key."""

UNREADABLE = b'"(too large)"'
"""Replaces an entry beyond the limits. As an entry it is not understood, so it proves neither presence nor absence."""

_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+([\[\]{}])?', re.DOTALL)
_TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_WHOLE_ESCAPES = re.compile(
    rb"""(?:[^"\\]++|\\[^u]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}
    |\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+""",
    re.DOTALL | re.VERBOSE,
)
_CONTINUATION = bytes(range(0x80, 0xC0))
_FIRST_OF_SEVERAL = 0xC0
_OPENING = frozenset({b"[", b"{"})


class TooManyItemsError(Exception):
    """The answer exceeds MAX_KEPT, MAX_ENTRIES, MAX_BRACKETS, or the items that are parsed at once."""


class Splitter:
    """Takes a JSON text in pieces and returns it with each entry reduced.

    An entry is an object or a list within `level` others. `reduce` takes its value and the bytes before it,
    `cut` the beginning of a text that is too long.
    """

    __slots__ = (
        "_brackets",
        "_cut",
        "_depth",
        "_dropping",
        "_entries",
        "_kept",
        "_level",
        "_reduce",
        "_rest",
        "_target",
        "_text_at",
    )

    def __init__(self, level: int, reduce: Callable[[Any, bytes], Any], cut: Callable[[bytes], bytes] = bytes) -> None:
        self._cut = cut
        self._level = level
        self._reduce = reduce
        self._depth = self._brackets = self._entries = 0
        self._kept = bytearray()
        self._target: bytearray | None = self._kept
        """Where the next bytes belong: the kept ones or an entry; None in an entry beyond the limits."""
        self._text_at: int | None = None
        """Where in the target the text begins that the last piece did not end."""
        self._dropping = False
        """Whether that text is so long that the rest of it is dropped."""
        self._rest = b""
        """The backslash with which the last piece ended."""

    def feed(self, piece: bytes) -> None:
        """Read a piece. Raises TooManyItemsError, or orjson.JSONDecodeError for an entry that is not JSON."""
        piece, self._rest = self._rest + piece, b""
        self._scan(piece, 0 if self._text_at is None else self._read_text(piece, 0))
        if self._target is not self._kept and self._target is not None and len(self._target) > MAX_ENTRY:
            self._target = None
        if len(self._kept) > MAX_KEPT or self._brackets > MAX_BRACKETS:
            raise TooManyItemsError

    def finish(self) -> bytes:
        """Return the text with reduced entries. Raises as `feed` does."""
        if self._depth or self._text_at is not None:
            raise orjson.JSONDecodeError("unexpected end of data", "", 0)
        if server_json.has_too_many_items(self._kept):
            raise TooManyItemsError
        return bytes(self._kept)

    def _scan(self, piece: bytes, at: int) -> None:
        """Read from `at`, which is not within a text, to the end of the piece."""
        start = at
        while (bracket := _TO_BRACKET.match(piece, at)) and bracket[1] is not None:
            at = bracket.end()
            if bracket[1] in _OPENING:
                self._brackets += 1
                self._depth += 1
                if self._depth == self._level + 1:
                    self._keep(piece[start : at - 1])
                    start = at - 1
                    self._begin_entry()
            else:
                self._depth -= 1
                if self._depth == self._level:
                    self._keep(piece[start:at])
                    start = at
                    self._end_entry()
        text_at = bracket.end() if bracket else at
        self._keep(piece[start:text_at])
        if text_at < len(piece):
            self._text_at, self._dropping = len(self._target or b""), False
            self._keep(b'"')
            self._read_text(piece, text_at + 1)

    def _read_text(self, piece: bytes, start: int) -> int:
        """Read from within a text to its end or that of the piece, and return the position after it."""
        rest = _TO_QUOTE.match(piece, start)
        at = rest.end() if rest else start
        self._keep_text(piece[start:at])
        if piece[at : at + 1] == b'"':
            self._keep(b'"')
            self._text_at = None
            return at + 1
        self._rest = piece[at:]
        return len(piece)

    def _keep_text(self, part: bytes) -> None:
        """Keep a part of a text, but no more than the beginning of a long one."""
        if self._dropping or self._target is None or self._text_at is None:
            return
        self._target += part
        if len(self._target) - self._text_at > LONG_TEXT:
            self._dropping = True
            beginning = _WHOLE_ESCAPES.match(self._target, self._text_at + 1, self._text_at + LONG_TEXT)
            text = beginning[0].rstrip(_CONTINUATION) if beginning else b""
            self._target[self._text_at + 1 :] = self._cut(text[:-1] if text and text[-1] >= _FIRST_OF_SEVERAL else text)

    def _keep(self, part: bytes) -> None:
        if self._target is not None:
            self._target += part

    def _begin_entry(self) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise TooManyItemsError
        self._target = bytearray()

    def _end_entry(self) -> None:
        entry, self._target = self._target, self._kept
        self._kept += UNREADABLE if entry is None else self._reduced(bytes(entry))

    def _reduced(self, entry: bytes) -> bytes:
        if server_json.has_too_many_items(entry):
            return UNREADABLE
        with _no_collection():
            return self._parsed_and_reduced(entry)

    def _parsed_and_reduced(self, entry: bytes) -> bytes:
        value = server_json.loads(entry)
        try:
            return orjson.dumps(self._reduce(value, bytes(self._kept[-KEY_LOOKED_FOR:])))
        except (TypeError, ValueError):  # nested too deeply, or beyond a limit
            return UNREADABLE


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from visiting a large parsed value, which has no cycles and is soon gone."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
