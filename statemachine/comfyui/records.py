"""The entries of /queue and /history. A malformed answer raises; it never counts as an empty one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.frames import parse_failure
from statemachine.comfyui.text import json_text
from statemachine.comfyui.workflow import is_cache_class
from statemachine.core import events
from statemachine.core.messages import message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source

MARKER = "comfywarm"
"""The marker's name in extra_data, which ComfyUI keeps in the queue and in history (transcripts 01 and 09)."""


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
        setters = (node for node in nodes if is_cache_class(json_text(node.get("class_type"))))
        keys = (_mapping(node.get("inputs")).get("key") for node in setters)
        return frozenset(key for key in keys if isinstance(key, str))


@dataclass(frozen=True, slots=True)
class HistoryEntry(QueueItem):
    """A prompt that has ended."""

    end: events.PromptEnd
    outputs: frozenset[str]
    """The output nodes that ComfyUI was to run, without those that it dropped as invalid (transcript 07)."""


def queue_items(answer: Mapping[str, Any]) -> tuple[QueueItem, ...]:
    """Return the running and pending prompts of a GET /queue answer. Raises NotUnderstoodError."""
    try:
        return tuple(_item(entry) for part in ("queue_running", "queue_pending") for entry in _list(answer[part]))
    except (KeyError, TypeError, IndexError) as error:
        raise NotUnderstoodError(message("not_queue", error=repr(error))) from error


def running_ids(answer: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of the running prompts of a GET /queue answer. Raises NotUnderstoodError."""
    running: dict[str, Any] = {"queue_running": answer.get("queue_running"), "queue_pending": []}
    return frozenset(item.prompt_id for item in queue_items(running))


def history_entries(answer: Mapping[str, Any]) -> tuple[HistoryEntry, ...]:
    """Return the entries of a GET /history answer, oldest first. Raises NotUnderstoodError."""
    try:
        return tuple(_entry(prompt_id, entry) for prompt_id, entry in answer.items())
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise NotUnderstoodError(message("not_history", error=repr(error))) from error


def _item(entry: Any) -> QueueItem:
    _list(entry)
    return QueueItem(json_text(entry[1]), _mapping(entry[2]), _marker(entry))


def _entry(prompt_id: str, entry: Any) -> HistoryEntry:
    prompt, status = _list(entry["prompt"]), entry["status"]
    frames = {json_text(kind): _mapping(data) for kind, data in status["messages"]}
    end = _end(prompt_id, json_text(status["status_str"]), frames)
    return HistoryEntry(prompt_id, _mapping(prompt[2]), _marker(prompt), end, frozenset(map(json_text, prompt[4])))


def _end(prompt_id: str, status: str, frames: Mapping[str, Mapping[str, Any]]) -> events.PromptEnd:
    """Return how the prompt ended. An interrupt also has the status "error" (transcript 05), so read the frames."""
    if status == "success":
        cached = frames.get("execution_cached", {}).get("nodes", ())
        return events.PromptSucceeded(prompt_id, Source.HISTORY, tuple(map(json_text, cached)))
    if "execution_interrupted" in frames:
        return events.PromptInterrupted(prompt_id, Source.HISTORY)
    return parse_failure({**frames.get("execution_error", {}), "prompt_id": prompt_id}, Source.HISTORY)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _marker(entry: Any) -> Marker | None:
    """Return the marker in a prompt `[number, prompt_id, graph, extra_data, outputs]`, None without a valid one."""
    found = _mapping(entry[3]).get(MARKER) if len(entry) > 3 else None  # noqa: PLR2004
    try:
        return Marker(*(json_text(found[name]) for name in ("attempt", "workflow", "digest"))) if found else None
    except (KeyError, TypeError):
        return None
