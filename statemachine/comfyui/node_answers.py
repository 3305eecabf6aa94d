"""Requests to the companion node and its JSON answers (docs/node.md).

Plug-ins that answer with a text at the same path ignore the query.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from statemachine.comfyui import server_json
from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.frames import parse_places, parse_position, parse_texts
from statemachine.comfyui.server_json import shown
from statemachine.core.levels import Places
from statemachine.core.messages import message

JSON = "application/json"
KEYS_PER_REQUEST = 50
"""aiohttp accepts request lines of up to 8,190 characters, and the companion node up to 200 keys."""

VERSION = 1
"""The version of the answer's format, its member `comfywarm`."""

CACHED_QUERIES = 64
"""Most servers of a fleet have the same workflows, so there are few distinct queries."""


class Activity(NamedTuple):
    """What shows that ComfyUI's worker works: the processor time of its thread, and the step that it is at.

    `cpu_s` is None where the system does not count it by thread.
    """

    cpu_s: float | None = None
    step: str = ""


class WorkerReport(NamedTuple):
    """What the companion node reports of the thread that runs prompts. `alive` is None if it does not know."""

    alive: bool | None = None
    activity: Activity = Activity()


NO_REPORT = WorkerReport()


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """One instance's answer about the requested keys. `loading`: the server loads the missing ones itself."""

    instance: str
    sequence: int
    present: frozenset[str]
    missing: frozenset[str]
    loading: bool
    raw: str
    places: Places | None = None
    """Where the models of the present keys are, None if the node does not report it."""
    release: str | None = None
    """The node's release, None if it does not name it, as before 0.1.0."""
    worker: WorkerReport = NO_REPORT

    def missing_of(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Return the missing ones of `keys`. Raises NotUnderstoodError if the answer omits one of them."""
        if omitted := [key for key in keys if key not in self.present and key not in self.missing]:
            raise NotUnderstoodError(message("node_omits_keys", keys=omitted), 200, self.raw)
        return tuple(key for key in keys if key in self.missing)


@lru_cache(maxsize=CACHED_QUERIES)
def check_paths(path: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths of the requests that check `keys`, at least one. Without keys it is the peek path."""
    batches = [keys[at : at + KEYS_PER_REQUEST] for at in range(0, len(keys), KEYS_PER_REQUEST)]
    return tuple(_with_query(path, [("key", key) for key in batch]) for batch in batches) or (peek_path(path),)


def peek_path(path: str) -> str:
    """Return the path of a request that checks no key and never starts a workflow."""
    return _with_query(path, [("peek", "1")])


def _with_query(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query, quote_via=quote, safe='')}"


def parse_node(text: str) -> NodeAnswer | None:
    """Return the companion node's answer, None if the answer is not from a companion node.

    Raises NotUnderstoodError if it is from one, but malformed or of another version.
    """
    try:
        answer = server_json.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or "comfywarm" not in answer:
        return None
    try:
        return _parse(answer, text)
    except (KeyError, TypeError, ValueError) as error:
        raise NotUnderstoodError(message("node_not_understood", error=str(error)), 200, text) from error


def _parse(answer: dict[str, Any], raw: str) -> NodeAnswer:
    if answer["comfywarm"] != VERSION:
        raise ValueError(f"version {shown(answer['comfywarm'])}, expected {VERSION}")
    if not isinstance(answer["loading"], bool) or not isinstance(answer["auto_started"], bool):
        raise TypeError("loading or auto_started is not true or false")
    present, missing = (frozenset(parse_texts(answer["keys"][name])) for name in ("present", "missing"))
    loading = answer["loading"] or answer["auto_started"]
    places, release = parse_places(answer.get("levels")), answer.get("release")
    return NodeAnswer(
        *parse_position(answer),
        present,
        missing,
        loading=loading,
        raw=raw,
        places=places,
        release=shown(release) if release is not None else None,
        worker=_worker(answer),
    )


def _worker(answer: dict[str, Any]) -> WorkerReport:
    """Return the report of the worker. What an older node leaves out, or what is not understood, is unknown."""
    alive, activity = answer.get("worker_alive"), answer.get("activity")
    cpu_s, step = (activity.get(name) for name in ("cpu_s", "step")) if isinstance(activity, dict) else (None, None)
    is_time = isinstance(cpu_s, int | float) and not isinstance(cpu_s, bool) and math.isfinite(cpu_s)
    return WorkerReport(
        alive if isinstance(alive, bool) else None,
        Activity(float(cpu_s) if is_time and cpu_s is not None else None, shown(step) if step is not None else ""),
    )


def merged(answers: Iterable[NodeAnswer]) -> NodeAnswer:
    """Return one answer for several, which arrived in this order. Its sequence is that of the first.

    Raises NotUnderstoodError if they are from different instances.
    """
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
        places=_merged_places(first, *others),
        release=first.release,
    )


def _merged_places(*answers: NodeAnswer) -> Places | None:
    """Return the places of all answers, None if one of them reports none."""
    known = [answer.places for answer in answers if answer.places is not None]
    return {key: place for places in known for key, place in places.items()} if len(known) == len(answers) else None
