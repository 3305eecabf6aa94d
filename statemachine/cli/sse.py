"""Server-Sent Events, as far as the daemon's stream uses them (HTML standard, section 9.2)."""

from dataclasses import dataclass

MAX_BLOCK = 16 * 1024 * 1024
"""Bytes of one event; a stream without blank lines is not ours."""


@dataclass(frozen=True, slots=True)
class Block:
    """One event, or a block with only an `id`. Comments are no blocks."""

    id: int | None
    event: str
    data: str


class Parser:
    """Bytes in, whole blocks out, wherever the network cut them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Block]:
        """The blocks that this chunk completes. ValueError where this is no stream of events."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > MAX_BLOCK:
            raise ValueError("this is no stream of events")
        return [parsed for block in blocks if (parsed := _parse(block.decode("utf-8", "replace"))) is not None]


def _parse(text: str) -> Block | None:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
    number = fields.get("id", "")
    if not fields.keys() & {"id", "data"}:
        return None
    return Block(int(number) if number.isdecimal() else None, fields.get("event", ""), fields.get("data", ""))
