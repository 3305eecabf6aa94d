"""How a server's executor keeps what prompts have loaded, from GET /system_stats.

The executor's cache (comfy_execution/caching.py) holds the outputs of nodes, models included. A model that no output
holds is freed. Keys of a cache node are not affected: the node's plug-in holds their models.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import Any, Self

from statemachine.comfyui.system import release_of

RAM_BY_DEFAULT_SINCE = (0, 23)
"""Version of ComfyUI; earlier ones use the classic cache by default (main.py)."""

FLAG = "--cache-"

DEFAULT_ACTIVE_GIB = (2.0, 10.0)
"""The least and the most free memory below which the running prompt's results are dropped by default (main.py)."""

WINDOWS = ("nt", "win")
"""What `os` begins with there: os.name in older versions, sys.platform in newer ones."""

_LIMIT = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?")


class CacheKind(StrEnum):
    """The value is the word that people read."""

    UNKNOWN = "unknown"
    NONE = "none"
    """Each prompt loads again."""
    CLASSIC = "classic"
    """What the last prompt used stays."""
    LRU = "lru"
    """The most recent results stay, and all of the last prompt."""
    RAM = "ram"
    """What the last prompt used stays. By default each node that runs evicts the rest, as memory is never all free."""


@dataclass(frozen=True, slots=True)
class CacheMode:
    """`size`: the number of results that an LRU cache keeps.

    `may_keep_more`: results of earlier prompts stay as long as memory is free. `lacks_gib`: the results of the running
    prompt are dropped too, because less than so much memory is free; 0 if enough is. `is_default`: no argument selects
    a cache. Each default keeps at most what the last prompt used, also where the version and so the kind is not known.
    """

    kind: CacheKind = CacheKind.UNKNOWN
    size: int = 0
    may_keep_more: bool = False
    lacks_gib: float = 0.0
    is_default: bool = field(default=False, compare=False)

    def keeps_all(self, node_count: int) -> bool:
        """Return whether the results of several workflows with this many nodes stay, or may stay for all we know."""
        unknown = self.kind is CacheKind.UNKNOWN and not self.is_default
        return unknown or (self.kind is CacheKind.LRU and self.size >= node_count)


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a server's machine, infinite if it is not known."""

    total_gib: float
    free_gib: float

    @classmethod
    def of(cls, system: Mapping[Any, object]) -> Self:
        """Return what GET /system_stats reports. On Windows, ComfyUI rarely drops results for free memory."""
        on_windows = str(system.get("os")).startswith(WINDOWS)
        return cls(_gib(system.get("ram_total")), math.inf if on_windows else _gib(system.get("ram_free")))


def _gib(size: object) -> float:
    if isinstance(size, bool) or not isinstance(size, int | float) or size <= 0:
        return math.inf
    return size / 2**30


def cache_mode(stats: Mapping[str, Any]) -> CacheMode:
    """Return the mode that an answer of GET /system_stats implies: by the arguments, else by the version."""
    match stats:
        case {"system": {"argv": [*arguments], **system}}:
            memory = Memory.of(system)
            named = next(_named([text for text in arguments if isinstance(text, str)], memory), None)
            kind = _default_of(system.get("comfyui_version"))
            by_default = _under_pressure((), memory) if kind is CacheKind.RAM else CacheMode(kind, is_default=True)
            return named or by_default
    return CacheMode()


def _named(arguments: list[str], memory: Memory) -> Iterator[CacheMode]:
    """Yield the modes that the arguments select. argparse accepts `--flag=value` and beginnings of flags."""
    for index, (argument, following) in enumerate(zip(arguments, [*arguments[1:], ""], strict=True)):
        flag, _, value = argument.partition("=")
        if flag == "--high-ram":
            yield CacheMode(CacheKind.CLASSIC)
        kind = next((kind for kind in CacheKind if _selects(flag, kind)), None)
        size = _number(value or following)
        if kind is CacheKind.RAM:
            yield _under_pressure([value] if value else arguments[index + 1 : index + 3], memory)
        elif kind in (CacheKind.NONE, CacheKind.CLASSIC) or (kind is CacheKind.LRU and size > 0):
            yield CacheMode(kind, size if kind is CacheKind.LRU else 0)


def _under_pressure(values: Sequence[str], memory: Memory) -> CacheMode:
    """Return the mode of `--cache-ram ACTIVE INACTIVE`: results are dropped while less memory is free.

    ACTIVE is for the results of the running prompt, and by default a tenth of the memory. INACTIVE is for earlier ones
    and by default all memory, up to 128 GiB (main.py). A threshold that is never reached drops everything after each
    node.
    """
    limits = [float(text) for text in takewhile(_LIMIT.fullmatch, values)]
    if limits and limits[0] >= memory.total_gib:
        return CacheMode(CacheKind.NONE)
    active = limits[0] if limits else min(DEFAULT_ACTIVE_GIB[1], max(DEFAULT_ACTIVE_GIB[0], memory.total_gib / 10))
    lacks = active if memory.free_gib < active else 0.0
    may_keep_more = len(limits) > 1 and limits[1] < memory.total_gib
    return CacheMode(CacheKind.RAM, may_keep_more=may_keep_more, lacks_gib=lacks)


def _selects(flag: str, kind: CacheKind) -> bool:
    return len(flag) > len(FLAG) and kind is not CacheKind.UNKNOWN and f"{FLAG}{kind}".startswith(flag)


def _default_of(version: object) -> CacheKind:
    release = release_of(version)
    if release is None:
        return CacheKind.UNKNOWN
    return CacheKind.RAM if release >= RAM_BY_DEFAULT_SINCE else CacheKind.CLASSIC


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
