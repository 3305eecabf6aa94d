"""ComfyUI's /ws frames as the core's events.

Which frames there are and who receives them: PROTOCOL in docs/comfyui.md. A text frame that is no JSON, or no
frame that we know, is nothing to us.
"""

from collections.abc import Callable, Container
from typing import Any

import orjson

from statemachine.comfyui.json_text import json_text, shown
from statemachine.core import events
from statemachine.core.messages import message
from statemachine.core.vocabulary import Source

Data = dict[str, Any]

MAX_QUEUE = 2**31
MAX_SEQUENCE = 2**62
MAX_INSTANCE = 100
"""Characters. The companion node's own have 32."""


_BEGINNING = '{"type": "'
"""How ComfyUI begins its frames."""


def decode(frame: str, *, in_flight: bool = True) -> events.Event | None:
    """The event that a frame tells, None for one that tells nothing. Never raises.

    Most traffic is plug-ins' chatter and the progress of users' jobs. A frame that begins with a type unknown to us
    is not parsed, nor one that begins as those about prompts do while none of ours is `in_flight`.
    """
    if _begins_as_nothing(frame, _DECODERS if in_flight else _TOLD_AT_REST):
        return None
    try:
        told = orjson.loads(frame)
        return _DECODERS[told["type"]](told["data"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _begins_as_nothing(frame: str, told: Container[str]) -> bool:
    """Whether its type is written as ComfyUI writes it, without escapes, and is none of those."""
    if not frame.startswith(_BEGINNING):
        return False
    kind = frame[len(_BEGINNING) : frame.find('"', len(_BEGINNING))]
    return kind not in told and "\\" not in kind


def is_session_start(frame: str) -> bool:
    """Whether this is a `status` frame, which ComfyUI sends first on every new connection."""
    return isinstance(decode(frame), events.QueueSeen)


def _status(data: Data) -> events.Event:
    return events.QueueSeen(queue_length(data["status"]["exec_info"]["queue_remaining"]), Source.WS)


def queue_length(value: object) -> int:
    """The length of a queue as ComfyUI says it; TypeError or ValueError for anything that cannot be one."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a queue length is not a whole number")
    if not 0 <= value <= MAX_QUEUE:
        raise ValueError("a queue length is out of range")
    return value


def _cached(data: Data) -> events.Event:
    return events.PromptCached(_prompt_id(data), tuple(map(json_text, data["nodes"])))


def _executing(data: Data) -> events.Event | None:
    """`node: null` follows errors as well as successes, so it proves nothing."""
    return events.PromptNodeStarted(_prompt_id(data), json_text(data["node"])) if data["node"] is not None else None


def _progress_state(data: Data) -> events.Event:
    done = sum([_share(node["value"], node["max"]) for node in data["nodes"].values()])
    return events.PromptProgress(_prompt_id(data), done)


def _share(value: float, maximum: float) -> float:
    share = value / maximum if maximum else 0.0
    return share if 0.0 <= share <= 1.0 else float(share > 1.0)


def _success(data: Data) -> events.Event:
    return events.PromptSucceeded(_prompt_id(data), Source.WS)


def _error(data: Data) -> events.Event:
    return failure(data, Source.WS)


def _interrupted(data: Data) -> events.Event:
    return events.PromptInterrupted(_prompt_id(data), Source.WS)


def _cache_reported(data: Data) -> events.Event | None:
    """The companion node tells all clients what is cached now. `comfywarm` is the version of its words."""
    if data["comfywarm"] != 1:
        return None
    instance, sequence = cache_position(data)
    return events.CacheReported(instance, sequence, frozenset(texts(data["present"])), data.get("truncated") is True)


def cache_position(said: Data) -> tuple[str, int]:
    """The companion node's `instance` and `sequence`; KeyError, TypeError or ValueError for what cannot be such."""
    instance, sequence = said["instance"], said["sequence"]
    if not isinstance(instance, str) or not isinstance(sequence, int) or isinstance(sequence, bool):
        raise TypeError("an instance is not a text, or a sequence not a whole number")
    if not 0 < len(instance) <= MAX_INSTANCE or not 0 <= sequence <= MAX_SEQUENCE:
        raise ValueError("an instance or a sequence is out of range")
    return instance, sequence


def texts(value: object) -> list[str]:
    """A list of texts; TypeError for anything else."""
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

_TOLD_AT_REST = frozenset({"status", "comfywarm.cache"})
"""What does not speak of a prompt."""


def failure(data: Data, witness: Source) -> events.PromptFailed:
    """An `execution_error`, from a frame or from history: it names the node and the exception."""
    kind, text = shown(data.get("exception_type", "")), _one_line(shown(data.get("exception_message", "")))
    node, class_type = shown(data.get("node_id")), shown(data.get("node_type"))
    return events.PromptFailed(
        prompt_id=_prompt_id(data),
        witness=witness,
        message=message("node_raised", node=node, class_type=class_type, exception=kind, text=text),
        out_of_memory=_is_out_of_memory(kind, text),
    )


def _one_line(text: str) -> str:
    """Exceptions may bring pages of advice; the whole of it stays in the server's history."""
    return " ".join(text.split())[:500]


def _is_out_of_memory(kind: str, text: str) -> bool:
    """torch's own class, or what drivers and `RuntimeError`s say (transcript 04: "CUDA out of memory")."""
    return kind.endswith("OutOfMemoryError") or "out of memory" in text.lower()
