"""The daemon's event stream as blocks: one event each, or only an id."""

from dataclasses import dataclass

MAX_BLOCK = 16 * 1024 * 1024
"""Limit for the bytes of one event, for streams that are not event streams."""


@dataclass(frozen=True, slots=True)
class Block:
    """One event, or a block with only an `id`."""

    id: int | None
    event: str
    data: str


class EventParser:
    """Parse an event stream from chunks with any boundaries."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Block]:
        """Return the blocks that this chunk completes. Raises ValueError if it is not an event stream."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > MAX_BLOCK:
            raise ValueError("not an event stream")
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
