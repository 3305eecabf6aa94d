"""Long messages of /ws: those that arrive in pieces, and short forms of frames too long to be parsed.

Fragmented messages arrive in pieces, and so do frames that are longer than one read. A text is kept up to `MOST_TEXT`,
of a longer one its beginning. Previews are not kept at all.
"""

import json
import re
from typing import Any

MOST_TEXT = 256 * 1024
"""Bytes. ComfyUI's longest text that matters is the progress of a graph, about 270 bytes for each node."""

MOST_BEGINNING = 64 * 1024
"""Bytes that are kept of a longer text. An `execution_error` quotes the node's inputs after all that matters."""

KEPT_TYPES = frozenset({"execution_error"})
"""Types whose frames may be long although the members that matter are short and come first."""

_BEGINNING = re.compile(r'\s*\{\s*"type"\s*:\s*"([^"\\]{1,100})"\s*,\s*"data"\s*:\s*\{')
_NAME = re.compile(r'\s*"([^"\\]{1,100})"\s*:\s*')
_SEPARATOR = re.compile(r"\s*,")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None, strict=False)


class LongMessage:
    """One message, from its first frame to its last. `size` counts the frames that have begun."""

    __slots__ = ("_is_text", "_kept", "is_cut", "size")

    def __init__(self, *, is_text: bool) -> None:
        self.size = 0
        self.is_cut = False
        self._is_text = is_text
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Add the next bytes."""
        if not self._is_text or self.is_cut:
            return
        self._kept += data
        if len(self._kept) > MOST_TEXT:
            del self._kept[MOST_BEGINNING:]
            self.is_cut = True

    @property
    def text(self) -> bytes | None:
        """The text or its beginning, None for a preview."""
        return bytes(self._kept) if self._is_text else None


def shortened(beginning: str) -> str | None:
    """Return the frame with those members of `data` that are whole; None if its type does not matter."""
    start = _BEGINNING.match(beginning)
    if start is None or start[1] not in KEPT_TYPES:
        return None
    data, at = dict[str, Any](), start.end()
    while name := _NAME.match(beginning, at):
        try:
            data[name[1]], at = _DECODER.raw_decode(beginning, name.end())
        except (ValueError, RecursionError):
            break
        separator = _SEPARATOR.match(beginning, at)
        if separator is None:
            break
        at = separator.end()
    return json.dumps({"type": start[1], "data": data})
