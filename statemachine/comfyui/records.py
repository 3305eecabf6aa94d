"""The entries of /queue and /history. A malformed answer raises; it never counts as an empty one.

One malformed entry does not hide the others. It may be the prompt that is looked for, so a history with one decides
nothing about such a prompt, and a queue with one is incomplete.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from statemachine.comfyui.errors import IncompleteQueueError, NotUnderstoodError
from statemachine.comfyui.frames import is_blocked, parse_failure
from statemachine.comfyui.server_json import json_text, shown
from statemachine.comfyui.workflow import is_cache_class
from statemachine.core import events
from statemachine.core.messages import message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source

MAX_STATUS = 50
"""Characters of an unknown status that an error quotes."""
MAX_ENTRIES = 5_000
"""Entries of an answer that are read. A busy queue has hundreds."""
MARKER = "comfywarm"
"""The marker's name in extra_data, which ComfyUI keeps in the queue and in history (transcripts 01 and 09)."""
GATEWAY_MARKER = "comfywarm_gateway"
"""The same of prompts that a gateway has sent for its clients."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The mark in every warm-up's extra_data. It identifies the warm-up even if the server chose another prompt id."""

    attempt: str
    workflow: str
    digest: str

    def as_json(self) -> dict[str, str]:
        """Return the marker as JSON data for extra_data."""
        return {"attempt": self.attempt, "workflow": self.workflow, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A running or pending prompt."""

    prompt_id: str
    graph: Mapping[str, Any]
    marker: Marker | None

    def is_of(self, attempt: Attempt) -> bool:
        """Return whether this is the prompt of the attempt."""
        return attempt.is_about(self.prompt_id) or (
            self.marker is not None and self.marker.attempt == attempt.prompt_id
        )

    @property
    def cache_keys(self) -> frozenset[str]:
        """The keys that the prompt's cache nodes set. Nodes that only read a key do not count."""
        nodes = (_mapping(node) for node in self.graph.values())
        setters = (node for node in nodes if is_cache_class(shown(node.get("class_type"))))
        keys = (_mapping(node.get("inputs")).get("key") for node in setters)
        return frozenset(key for key in keys if isinstance(key, str))


@dataclass(frozen=True, slots=True)
class QueueListing:
    """The prompts that GET /queue lists. `counted` is the number of prompts that GET /prompt counts.

    A queue plug-in or a gateway may hold prompts that it does not list. `unreadable` is the number of listed prompts
    that were not understood, and `of_gateways` that of pending ones that gateways have sent.
    """

    running: tuple[QueueItem, ...]
    pending: tuple[QueueItem, ...]
    unreadable: int = 0
    counted: int = 0
    of_gateways: int = 0

    @property
    def items(self) -> tuple[QueueItem, ...]:
        """The running prompts, then the pending ones."""
        return self.running + self.pending

    @property
    def length(self) -> int:
        """The number of prompts in the queue, those that are not listed included."""
        return max(self.counted, len(self.items) + self.unreadable)

    @property
    def complete(self) -> bool:
        """Whether every prompt is listed and understood, so that a prompt which is not listed is absent."""
        return len(self.items) == self.length

    def raise_if_incomplete(self) -> None:
        """Raise IncompleteQueueError if a prompt that is not listed may be in the queue."""
        if not self.complete:
            raise IncompleteQueueError(message("queue_incomplete", listed=len(self.items), length=self.length))


@dataclass(frozen=True, slots=True)
class HistoryEntry(QueueItem):
    """A prompt that has ended."""

    end: events.PromptEnd
    outputs: frozenset[str]
    """The output nodes that ComfyUI was to run, without those that it dropped as invalid (transcript 07)."""


@dataclass(frozen=True, slots=True)
class UnreadableEntry(QueueItem):
    """An entry of /history that is not understood. `fault` says why.

    `identified` is whether its extra_data was read, which holds the marker.
    """

    fault: str
    identified: bool

    def may_be_of(self, attempt: Attempt) -> bool:
        """Return whether this may be the prompt of the attempt, whose id the server may have chosen itself."""
        return self.is_of(attempt) or not (self.identified or attempt.accepted_at is not None)

    def error(self) -> NotUnderstoodError:
        """Return the error for a caller that needs this entry."""
        return NotUnderstoodError(message("not_history", error=self.fault))


def queue_listing(answer: Mapping[str, Any], counted: int = 0) -> QueueListing:
    """Return the prompts of a GET /queue answer of a server that counts `counted`. Raises NotUnderstoodError."""
    try:
        parts = [_list(answer[part]) for part in ("queue_running", "queue_pending")]
    except (KeyError, TypeError) as error:
        raise NotUnderstoodError(message("not_queue", error=repr(error))) from error
    if (length := sum(map(len, parts))) > MAX_ENTRIES:
        raise NotUnderstoodError(message("not_queue", error=f"{length} entries, more than {MAX_ENTRIES}"))
    running, pending = (tuple(item for entry in part if (item := _item(entry))) for part in parts)
    unreadable = sum(map(len, parts)) - len(running) - len(pending)
    return QueueListing(running, pending, unreadable, counted, sum(map(_is_of_gateway, parts[1])))


def history_entries(answer: Mapping[str, Any]) -> tuple[HistoryEntry | UnreadableEntry, ...]:
    """Return the entries of a GET /history answer, oldest first.

    Raises NotUnderstoodError if it has entries and none of them is a prompt's.
    """
    if len(answer) > MAX_ENTRIES:
        raise NotUnderstoodError(message("not_history", error=f"{len(answer)} entries, more than {MAX_ENTRIES}"))
    entries = tuple(_entry(prompt_id, entry) for prompt_id, entry in answer.items())
    unreadable = [entry for entry in entries if isinstance(entry, UnreadableEntry) and not entry.identified]
    if entries and len(unreadable) == len(entries):
        raise unreadable[0].error()
    return entries


def end_of(attempt: Attempt, entries: Iterable[HistoryEntry | UnreadableEntry]) -> events.PromptEnd | None:
    """Return how the attempt's prompt ended, None if it is not among the entries.

    Raises NotUnderstoodError if an entry that is not understood may be it.
    """
    known = (one for one in entries if isinstance(one, HistoryEntry) and one.is_of(attempt))
    unreadable = (one for one in entries if isinstance(one, UnreadableEntry) and one.may_be_of(attempt))
    if entry := next(known, None):
        return replace(entry.end, prompt_id=attempt.prompt_id)
    if doubtful := next(unreadable, None):
        raise doubtful.error()
    return None


def end_of_status(prompt_id: str, status: Mapping[str, Any]) -> events.PromptEnd:
    """Return how a prompt ended, by the status that ComfyUI keeps with it. Raises NotUnderstoodError."""
    try:
        return _end(prompt_id, status)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotUnderstoodError(message("not_history", error=repr(error))) from error


def _item(entry: Any) -> QueueItem | None:
    """Return a prompt of the queue, None if it is not understood."""
    try:
        _list(entry)
        return QueueItem(json_text(entry[1]), _mapping(entry[2]), _marker(entry))
    except (TypeError, IndexError):
        return None


def _entry(prompt_id: str, entry: Any) -> HistoryEntry | UnreadableEntry:
    try:
        prompt, end = _list(entry["prompt"]), _end(prompt_id, entry["status"])
        return HistoryEntry(prompt_id, _mapping(prompt[2]), _marker(prompt), end, frozenset(map(shown, prompt[4])))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        return _unreadable(prompt_id, entry, entry[:MAX_STATUS] if isinstance(entry, str) else repr(error))


def _unreadable(prompt_id: str, entry: Any, fault: str) -> UnreadableEntry:
    match entry:
        case {"prompt": [_, _, graph, dict() as extra, *_]}:
            return UnreadableEntry(prompt_id, _mapping(graph), _marker_in(extra), fault, identified=True)
    return UnreadableEntry(prompt_id, {}, None, fault, identified=False)


def _end(prompt_id: str, status: Mapping[str, Any]) -> events.PromptEnd:
    """Return how the prompt ended. An interrupt also has the status "error" (transcript 05), so read the frames.

    Raises ValueError for a status that is not an end.
    """
    frames = _frames(status["messages"])
    if status["status_str"] == "success":
        cached = frames.get("execution_cached", {}).get("nodes", [])
        nodes = tuple(map(shown, cached)) if isinstance(cached, list) else None
        return events.PromptSucceeded(prompt_id, Source.HISTORY, nodes)
    if "execution_interrupted" in frames:
        return events.PromptInterrupted(prompt_id, Source.HISTORY)
    if status["status_str"] != "error":
        raise ValueError(f"status {shown(status['status_str'])[:MAX_STATUS]}")
    return parse_failure({**frames.get("execution_error", {}), "prompt_id": prompt_id}, Source.HISTORY)


def _frames(messages: object) -> dict[str, Mapping[str, Any]]:
    """Return the last frame of each type. That of a blocked node counts only without one of a node that raised."""
    pairs = (one for one in _list(messages) if isinstance(one, list) and len(one) == 2)  # noqa: PLR2004
    frames = [(shown(kind), _mapping(data)) for kind, data in pairs]
    return dict(sorted(frames, key=lambda frame: is_blocked(frame[1]), reverse=True))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_of_gateway(entry: Any) -> bool:
    match entry:
        case [_, _, _, dict() as extra, *_]:
            return GATEWAY_MARKER in extra
    return False


def _marker(entry: Any) -> Marker | None:
    """Return the marker in a prompt `[number, prompt_id, graph, extra_data, outputs]`, None without a valid one."""
    return _marker_in(_mapping(entry[3])) if len(entry) > 3 else None  # noqa: PLR2004


def _marker_in(extra_data: Mapping[str, Any]) -> Marker | None:
    found = extra_data.get(MARKER)
    try:
        return Marker(*(json_text(found[name]) for name in ("attempt", "workflow", "digest"))) if found else None
    except (KeyError, TypeError):
        return None
