"""Messages of /ws that arrive in pieces: fragmented ones, and frames that are longer than one read.

A text is kept up to `MOST_TEXT`, of a longer one its beginning. Previews are not kept at all.
"""

MOST_TEXT = 256 * 1024
"""Bytes. ComfyUI's longest text that matters is the progress of a graph, about 270 bytes for each node."""

MOST_BEGINNING = 64 * 1024
"""Bytes that are kept of a longer text. An `execution_error` quotes the node's inputs after all that matters."""


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
