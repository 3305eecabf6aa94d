"""How large the answer of each route may be. docs/security.md has the table."""

from dataclasses import dataclass
from urllib.parse import unquote

from statemachine.comfyui.condensing import Reduce, history_entry, node_class, queue_entry

KIB = 1024
MIB = 1024 * KIB

SMALL = 64 * KIB
"""Bytes. An answer up to this size is read without waiting for others, and parsed at once."""

OBJECT_INFO = "/object_info/"


@dataclass(frozen=True, slots=True)
class Entries:
    """The parts of a large JSON answer that are parsed and reduced one by one.

    `level`: the number of brackets that are open around an entry.
    """

    level: int
    reduce: Reduce


@dataclass(frozen=True, slots=True)
class Bound:
    """The most bytes of an answer that are read. With `entries`, only what is needed of a large answer is kept.

    It holds for the status 200 and for `other_status`. Only SMALL bytes of other answers are read.
    """

    size: int
    entries: Entries | None = None
    other_status: int | None = None


PROMPT_REPLY = Bound(256 * KIB, other_status=400)
"""The reply to POST /prompt, which has the errors of each node of a refused workflow."""

CHECK = Bound(256 * KIB)
"""The answer of a check API, of Inspire-Pack's list or of the companion node, which has some kilobytes."""

_QUEUE = Bound(64 * MIB, Entries(2, queue_entry))
"""Hundreds of graphs with inlined images."""

_HISTORY = Bound(64 * MIB, Entries(1, history_entry))

_EXACT = {
    "/prompt": Bound(SMALL),
    "/queue": _QUEUE,
    "/system_stats": Bound(256 * KIB),
    "/node_replacements": Bound(256 * KIB),
}


def bound_of(method: str, path: str) -> Bound:
    """Return the bound of the 200 answer to this request."""
    if method == "POST":
        return PROMPT_REPLY
    route = path.partition("?")[0]
    if route.startswith("/history"):
        return _HISTORY
    if route.startswith(OBJECT_INFO):
        return Bound(64 * MIB, Entries(1, node_class(unquote(route.removeprefix(OBJECT_INFO)))))
    return _EXACT.get(route, CHECK)


def shown_size(size: int) -> str:
    """Return a number of bytes for people: `256 KiB`, `64 MiB`."""
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"
