"""The companion node's answers as JSON, and the questions that it understands (docs/node.md).

The mission's plug-ins answer in words at the same path, and take no notice of what the question adds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.frames import cache_position, texts
from statemachine.comfyui.json_text import shown
from statemachine.core.messages import message

JSON = "application/json"
KEYS_AT_ONCE = 50
"""A request's first line has at most 8,190 characters (aiohttp), and the node takes 200 keys."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What one instance said of the keys that it was asked for. `loading`: it brings what is missing by itself."""

    instance: str
    sequence: int
    present: frozenset[str]
    missing: frozenset[str]
    loading: bool
    raw: str

    def missing_of(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Those of the keys that are missing; NotUnderstoodError where it says nothing of one of them."""
        if untold := [key for key in keys if key not in self.present and key not in self.missing]:
            raise NotUnderstoodError(message("node_omits_keys", keys=untold), 200, self.raw)
        return tuple(key for key in keys if key in self.missing)


@lru_cache(maxsize=64)
def questions(path: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    """The path with the keys to be asked for, or with several of them. Without keys: one that starts nothing.

    Kept, for most servers of a fleet are asked the same.
    """
    batches = [keys[at : at + KEYS_AT_ONCE] for at in range(0, len(keys), KEYS_AT_ONCE)]
    return tuple(_with(path, [("key", key) for key in batch]) for batch in batches) or (peek(path),)


def peek(path: str) -> str:
    """A question that asks for no key, and starts no work whatever is missing."""
    return _with(path, [("peek", "1")])


def _with(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query, quote_via=quote, safe='')}"


def parse_node(text: str) -> NodeAnswer | None:
    """What a companion node answered, None where somebody else did. NotUnderstoodError for a node's unknown words."""
    try:
        said = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    if not isinstance(said, dict) or "comfywarm" not in said:
        return None
    try:
        return _read(said, text)
    except (KeyError, TypeError, ValueError) as error:
        raise NotUnderstoodError(message("node_not_understood", error=str(error)), 200, text) from error


def _read(said: dict[str, Any], raw: str) -> NodeAnswer:
    if said["comfywarm"] != VERSION:
        raise ValueError(f"version {shown(said['comfywarm'])}, expected {VERSION}")
    if not isinstance(said["loading"], bool) or not isinstance(said["auto_started"], bool):
        raise TypeError("loading or auto_started is not true or false")
    present, missing = (frozenset(texts(said["keys"][name])) for name in ("present", "missing"))
    return NodeAnswer(*cache_position(said), present, missing, loading=said["loading"] or said["auto_started"], raw=raw)


def joined(answers: Iterable[NodeAnswer]) -> NodeAnswer:
    """One answer of several questions, asked one after another: as old as the first of them."""
    first, *others = answers
    if any(other.instance != first.instance for other in others):
        raise NotUnderstoodError(message("restarted_during_check"))
    return NodeAnswer(
        first.instance,
        first.sequence,
        first.present.union(*(other.present for other in others)),
        first.missing.union(*(other.missing for other in others)),
        loading=any(answer.loading for answer in (first, *others)),
        raw=first.raw,
    )
