"""Decoding of ComfyUI's /ws frames into the core's events, and of the companion node's levels.

docs/comfyui.md lists the frames and the connections that receive them. Unknown frames are ignored. Levels are also in
the companion node's answers (docs/node.md); a value that is not understood is no level.
"""

from collections.abc import Callable, Container, Mapping
from itertools import islice
from typing import Any

from statemachine.comfyui import server_json
from statemachine.comfyui.long_messages import shortened
from statemachine.comfyui.out_of_memory import is_out_of_memory
from statemachine.comfyui.server_json import json_text, shown
from statemachine.core import events
from statemachine.core.levels import LEVELS, KeyPlace, Level, Places
from statemachine.core.messages import message
from statemachine.core.vocabulary import Source

Data = dict[str, Any]

MAX_QUEUE_LENGTH = 2**31
MAX_SEQUENCE = 2**62
"""Limits far above real values, within the 64 bits that orjson serialises."""
MAX_INSTANCE = 100
"""Characters. The companion node's instance ids have 32."""
MAX_EXCEPTION_TEXT = 2_000
"""Characters of an exception that are examined. Some contain pages of advice."""
MAX_SHOWN = 500
"""Characters of an exception that a message quotes; the server's history keeps the whole text."""

LONG_FRAME, MOST_ITEMS = 32 * 1024, 20_000
"""Characters and values of a frame that is parsed as a whole. The progress of 1,000 nodes has 9,000 values."""

_BLOCKED_PREFIX = "Execution Blocked: "
"""What ComfyUI writes before the text of an ExecutionBlocker."""

_FRAME_START = '{"type": "'
"""The start of every frame that ComfyUI sends: `json.dumps` of a dict whose first member is `type`."""


Hide = Callable[[str], str]
"""Returns a text without secrets that the server may echo."""

_SHOWN = {
    "execution_error": ("exception_type", "exception_message", "node_id", "node_type"),
    "comfywarm.cache": ("instance",),
}
"""The members of frames that messages or records quote."""

MAX_LEVELS = 1_000
"""Keys whose levels are read. The companion node sends at most 200."""


def decode(frame: str, *, in_flight: bool = True, hide: Hide = str) -> events.Event | None:
    """Return the event of a frame, None for a frame without one. Never raises. `hide` gets the texts that are quoted.

    Most frames come from plug-ins or are the progress of users' prompts. A frame of an unknown type is therefore
    skipped before it is parsed, and so is a frame about a prompt unless a warm-up is `in_flight`.
    """
    if _is_irrelevant(frame, _DECODERS if in_flight else _IDLE_TYPES):
        return None
    if len(frame) > LONG_FRAME and frame.count(",") > MOST_ITEMS:
        frame = shortened(frame[:LONG_FRAME]) or ""
    try:
        parsed = server_json.loads(frame)
        return _DECODERS[parsed["type"]](_without_secrets(parsed["type"], parsed["data"], hide))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _without_secrets(kind: str, data: Data, hide: Hide) -> Data:
    if kind not in _SHOWN:
        return data
    quoted = {name: data[name] for name in _SHOWN[kind] if name in data}
    return {**data, **{name: hide(shown(value)) if value is not None else None for name, value in quoted.items()}}


def _is_irrelevant(frame: str, types: Container[str]) -> bool:
    """Return whether the frame starts as ComfyUI's do, without escapes, and has none of these types."""
    if not frame.startswith(_FRAME_START):
        return False
    frame_type = frame[len(_FRAME_START) : frame.find('"', len(_FRAME_START))]
    return frame_type not in types and "\\" not in frame_type


def is_session_start(frame: str) -> bool:
    """Return whether this is a `status` frame, which ComfyUI sends first on every connection (transcript 01)."""
    return isinstance(decode(frame), events.QueueSeen)


def _status(data: Data) -> events.Event:
    return events.QueueSeen(queue_length(data["status"]["exec_info"]["queue_remaining"]), Source.WS)


def queue_length(value: object) -> int:
    """Return a `queue_remaining`. Raises TypeError or ValueError for anything that cannot be a queue's length."""
    if isinstance(value, float) and value.is_integer():  # a gateway may write 3.0
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a queue length is not a whole number")
    if not 0 <= value <= MAX_QUEUE_LENGTH:
        raise ValueError("a queue length is out of range")
    return value


def _cached(data: Data) -> events.Event:
    return events.PromptCached(_prompt_id(data), tuple(map(json_text, data["nodes"])))


def _executing(data: Data) -> events.Event | None:
    """`node: null` follows errors as well as successes (transcripts 04 and 05), so it has no event."""
    return events.PromptNodeStarted(_prompt_id(data), json_text(data["node"])) if data["node"] is not None else None


def _progress_state(data: Data) -> events.Event:
    done = sum([_share(node) for node in data["nodes"].values()])
    return events.PromptProgress(_prompt_id(data), done)


def _share(node: Any) -> float:
    """Return how much of a node is done, 0.0 if that is not known."""
    try:
        share: float = node["value"] / node["max"]
    except (KeyError, TypeError, ZeroDivisionError):
        return 0.0
    return share if 0.0 <= share <= 1.0 else float(share > 1.0)


def _success(data: Data) -> events.Event:
    return events.PromptSucceeded(_prompt_id(data), Source.WS)


def _error(data: Data) -> events.Event | None:
    return _blocked(data) if is_blocked(data) else parse_failure(data, Source.WS)


def _blocked(data: Data) -> events.Event:
    node, class_type, text = (_one_line(data.get(name)) for name in ("node_id", "node_type", "exception_message"))
    shown_text = text.removeprefix(_BLOCKED_PREFIX)[:MAX_SHOWN]
    blocked = message("node_blocked", node=node[:MAX_SHOWN], class_type=class_type[:MAX_SHOWN], text=shown_text)
    return events.PromptNodeBlocked(_prompt_id(data), blocked)


def is_blocked(data: Mapping[str, Any]) -> bool:
    """Return whether an `execution_error` is of a node that an ExecutionBlocker skipped. The prompt goes on."""
    return data.get("exception_type") == "ExecutionBlocked"


def _interrupted(data: Data) -> events.Event:
    return events.PromptInterrupted(_prompt_id(data), Source.WS)


def _cache_reported(data: Data) -> events.Event | None:
    """The companion node sends the cached keys to all clients. `comfywarm` is the version of the format."""
    if data["comfywarm"] != 1:
        return None
    instance, sequence = parse_position(data)
    present = frozenset(parse_texts(data["present"]))
    places = parse_places(data.get("levels"))
    return events.CacheReported(instance, sequence, present, data.get("truncated") is True, places)


def parse_position(data: Data) -> tuple[str, int]:
    """Return the companion node's `instance` and `sequence`. Raises KeyError, TypeError or ValueError."""
    instance, sequence = data["instance"], data["sequence"]
    if not isinstance(instance, str) or not isinstance(sequence, int) or isinstance(sequence, bool):
        raise TypeError("an instance is not a text, or a sequence not a whole number")
    if not 0 < len(instance) <= MAX_INSTANCE or not 0 <= sequence <= MAX_SEQUENCE:
        raise ValueError("an instance or a sequence is out of range")
    return instance, sequence


def parse_texts(value: object) -> list[str]:
    """Return a list of texts. Raises TypeError for anything else."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("not a list of texts")
    return value


def _prompt_id(data: Data) -> str:
    if not isinstance(data["prompt_id"], str):
        raise TypeError("prompt_id is not a text")
    return data["prompt_id"]


_DECODERS: dict[str, Callable[[Data], events.Event | None]] = {
    "status": _status,
    "execution_cached": _cached,
    "executing": _executing,
    "progress_state": _progress_state,
    "execution_success": _success,
    "execution_error": _error,
    "execution_interrupted": _interrupted,
    "comfywarm.cache": _cache_reported,
}

_IDLE_TYPES = frozenset({"status", "comfywarm.cache"})
"""The types of frames that are not about a prompt."""


def parse_failure(data: Data, proved_by: Source) -> events.PromptFailed:
    """Return the event of an `execution_error`, from a frame or from history."""
    kind, text = (_one_line(data.get(name, "")) for name in ("exception_type", "exception_message"))
    node, class_type = (_one_line(data.get(name))[:MAX_SHOWN] for name in ("node_id", "node_type"))
    raised = {"exception": kind[:MAX_SHOWN], "text": text[:MAX_SHOWN]}
    return events.PromptFailed(
        prompt_id=_prompt_id(data),
        proved_by=proved_by,
        message=message("node_raised", node=node, class_type=class_type, **raised),
        out_of_memory=is_out_of_memory(kind, text),
    )


def _one_line(value: object) -> str:
    return " ".join(shown(value)[:MAX_EXCEPTION_TEXT].split())


def parse_places(value: object) -> Places | None:
    """Return the places in a member `levels`, None if it is absent or not an object."""
    if not isinstance(value, dict):
        return None
    found = {key: _place(report) for key, report in islice(value.items(), MAX_LEVELS)}
    return {key: place for key, place in found.items() if place is not None}


def _place(report: Any) -> KeyPlace | None:
    if not isinstance(report, dict):
        return None
    level, highest = _level(report.get("level")), _level(report.get("highest", "vram"))
    return KeyPlace(level, highest) if level is not None and highest is not None else None


def _level(word: object) -> Level | None:
    return LEVELS.get(word) if isinstance(word, str) else None
