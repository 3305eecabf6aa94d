"""What /queue and /history hold, read strictly: what is not understood raises, it is never taken for absence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.frames import failure
from statemachine.comfyui.json_text import json_text
from statemachine.comfyui.workflow import is_cache_class
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.messages import message
from statemachine.core.vocabulary import Source

MARKER = "comfywarm"
"""Our name within a prompt's extra_data, which ComfyUI keeps in its queue and its history (transcripts 01 and 09)."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What we write into every prompt of ours, so that it is known again whatever id the server gave it."""

    attempt: str
    workflow: str
    digest: str

    def as_json(self) -> dict[str, str]:
        """For extra_data."""
        return {"attempt": self.attempt, "workflow": self.workflow, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A running or pending prompt."""

    prompt_id: str
    graph: Mapping[str, Any]
    marker: Marker | None

    def is_of(self, attempt: Attempt) -> bool:
        """Whether this is the prompt of that attempt."""
        return attempt.is_about(self.prompt_id) or (
            self.marker is not None and self.marker.attempt == attempt.prompt_id
        )

    @property
    def cache_keys(self) -> frozenset[str]:
        """The keys that its cache nodes will set; nodes that only read keys do not count."""
        nodes = (_mapping(node) for node in self.graph.values())
        setters = (node for node in nodes if is_cache_class(json_text(node.get("class_type"))))
        keys = (_mapping(node.get("inputs")).get("key") for node in setters)
        return frozenset(key for key in keys if isinstance(key, str))


@dataclass(frozen=True, slots=True)
class HistoryEntry(QueueItem):
    """A prompt that ended. `outputs` are the output nodes that were to run: fewer than asked for where the server
    dropped some (transcript 07)."""

    end: events.PromptEnd
    outputs: frozenset[str]


def _end(prompt_id: str, status: str, told: Mapping[str, Mapping[str, Any]]) -> events.PromptEnd:
    """An interrupt reads "error" like a failure: only the messages tell them apart (transcript 05)."""
    if status == "success":
        cached = told.get("execution_cached", {}).get("nodes", ())
        return events.PromptSucceeded(prompt_id, Source.HISTORY, tuple(map(json_text, cached)))
    if "execution_interrupted" in told:
        return events.PromptInterrupted(prompt_id, Source.HISTORY)
    return failure({**told.get("execution_error", {}), "prompt_id": prompt_id}, Source.HISTORY)


def queue_items(answer: Mapping[str, Any]) -> tuple[QueueItem, ...]:
    """The running and pending prompts of an answer of GET /queue."""
    try:
        return tuple(_item(entry) for part in ("queue_running", "queue_pending") for entry in _list(answer[part]))
    except (KeyError, TypeError, IndexError) as error:
        raise NotUnderstoodError(message("not_queue", error=repr(error))) from error


def running_ids(answer: Mapping[str, Any]) -> frozenset[str]:
    """The ids of the prompts that run, in an answer of GET /queue."""
    running: dict[str, Any] = {"queue_running": answer.get("queue_running"), "queue_pending": []}
    return frozenset(item.prompt_id for item in queue_items(running))


def history_entries(answer: Mapping[str, Any]) -> tuple[HistoryEntry, ...]:
    """The entries of an answer of GET /history, in its order: oldest first."""
    try:
        return tuple(_entry(prompt_id, entry) for prompt_id, entry in answer.items())
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise NotUnderstoodError(message("not_history", error=repr(error))) from error


def _item(entry: Any) -> QueueItem:
    _list(entry)
    return QueueItem(json_text(entry[1]), _mapping(entry[2]), _marker(entry))


def _entry(prompt_id: str, entry: Any) -> HistoryEntry:
    prompt, status = _list(entry["prompt"]), entry["status"]
    told = {json_text(kind): _mapping(data) for kind, data in status["messages"]}
    end = _end(prompt_id, json_text(status["status_str"]), told)
    return HistoryEntry(prompt_id, _mapping(prompt[2]), _marker(prompt), end, frozenset(map(json_text, prompt[4])))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _marker(entry: Any) -> Marker | None:
    """Entries are [number, prompt_id, graph, extra_data, outputs]."""
    found = _mapping(entry[3]).get(MARKER) if len(entry) > 3 else None  # noqa: PLR2004
    try:
        return Marker(*(json_text(found[name]) for name in ("attempt", "workflow", "digest"))) if found else None
    except (KeyError, TypeError):
        return None
