"""Parse servers' answers and frames for the invariants, independently of the client."""

import json
from collections.abc import Iterator
from typing import Any

from statemachine.comfyui.transport import Reply
from statemachine.simulator.nodes import MISSION_KEYS

ENDS = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}


def remaining_in(path: str, text: bytes | str) -> int | None:
    """How many prompts the server has, where this answer (or /ws frame) says so."""
    if path not in ("/ws", "/prompt", "/queue"):
        return None
    try:
        data: Any = json.loads(text)
        if path == "/queue":
            return len(data["queue_running"]) + len(data["queue_pending"])
        info = data["data"]["status"]["exec_info"] if path == "/ws" else data["exec_info"]
        return int(info["queue_remaining"])
    except (ValueError, KeyError, TypeError):
        return None


def ended_prompts(body: bytes) -> Iterator[tuple[str, str]]:
    """(prompt_id, how it ended) of every entry of an answer of /history."""
    if body == b"{}":
        return
    for prompt_id, entry in json.loads(body).items():
        for message, _ in entry["status"]["messages"]:
            if message in ENDS:
                yield prompt_id, ENDS[message]


def says_cached(kind: str, reply: Reply) -> bool | None:
    """Whether a text or a list says that the mission's keys are there; None where it is neither."""
    if reply.status != 200:
        return None
    text = reply.text
    if kind == "node":
        return json.loads(text)["keys"]["missing"] == [] if text.startswith('{"comfywarm": 1') else None
    if kind == "text":
        return True if text == "缓存已加载。" else False if text.startswith("未查询到缓存") else None
    return all(f"\n{key}: " in text for key in MISSION_KEYS)


def history_is_warm(body: bytes, workflows: frozenset[str]) -> bool:
    """Whether the newest entries up to the first foreign one hold a success of each of the workflows."""
    warm: set[str] = set()
    for entry in reversed(json.loads(body).values()):
        marker = entry["prompt"][3].get("comfywarm")
        if marker is None:
            break
        if entry["status"]["status_str"] == "success":
            warm.add(marker["workflow"])
    return workflows <= warm


Position = tuple[str, int | None]
"""The companion node's instance, and the number of the last change that is known."""


def position_in(text: bytes | str) -> Position:
    """What an answer or a frame of the companion node says."""
    said: Any = json.loads(text)
    said = said.get("data", said)
    return said["instance"], said["sequence"]


def later(known: Position | None, said: Position) -> Position:
    """What is known after that was said, too."""
    if known is None or known[0] != said[0] or known[1] is None:
        return said
    return max(known, said, key=lambda position: position[1] or 0)


def has_keys(frame: str) -> bool:
    """Whether a frame of the companion node tells that the mission's keys are there."""
    return set(MISSION_KEYS) <= set(json.loads(frame)["data"]["present"])
