"""Parse replies and frames for the invariants, independently of the client."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from statemachine.comfyui.transport import Reply
from statemachine.simulator.companion import LEVELS
from statemachine.simulator.nodes import CACHE_KEYS

ENDS = {
    "execution_success": "success",
    "execution_error": "error",
    "execution_interrupted": "interrupted",
}


def remaining_in(path: str, text: bytes | str) -> int | None:
    """Return the number of prompts on the server, or None if this reply or /ws frame does not contain it."""
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
    """Yield (the daemon's prompt_id or the server's, how it ended) of each entry in a reply of /history."""
    if body == b"{}":
        return
    for prompt_id, entry in json.loads(body).items():
        for message, _ in entry["status"]["messages"]:
            if message in ENDS:
                yield entry["prompt"][3].get("comfywarm", {}).get("attempt", prompt_id), ENDS[message]


def job_in(body: bytes) -> tuple[str, str] | None:
    """Return the prompt_id and what became of it in a reply of /api/jobs/ID, None if the server does not have it.

    The prompt_id is the daemon's if the prompt has ended, else the server's: a queued one is shown without its marker.
    """
    job: Any = json.loads(body) if body.startswith(b"{") else {}
    if "id" not in job:
        return None
    ends = [ENDS[kind] for kind, _ in job.get("execution_status", {}).get("messages", ()) if kind in ENDS]
    marker = job.get("workflow", {}).get("extra_data", {}).get("comfywarm", {})
    return marker.get("attempt", job["id"]), ends[-1] if ends else "accepted"


def is_canonical_uuid(prompt_id: str) -> bool:
    """Return whether ComfyUI 0.25 and later accepts the prompt_id."""
    try:
        return str(uuid.UUID(prompt_id)) == prompt_id
    except ValueError:
        return False


def reports_cached(kind: str, reply: Reply, warm: str) -> bool | None:
    """Return whether a check's reply reports all keys, at the level `warm`; None for any other reply."""
    if reply.status != 200:
        return None
    text = reply.text
    if kind == "node":
        return has_keys(text) and not shows_below(text, warm) if text.startswith('{"comfywarm": 1') else None
    if kind == "text":
        return True if text == "缓存已加载。" else False if text.startswith("未查询到缓存") else None
    return all(f"\n{key}: " in text for key in CACHE_KEYS)


def history_is_warm(body: bytes, workflows: frozenset[str]) -> bool:
    """Return whether the newest entries, up to a foreign one, have a success of each workflow."""
    warm: set[str] = set()
    for entry in reversed(json.loads(body).values()):
        marker = entry["prompt"][3].get("comfywarm")
        if marker is None:
            break
        if entry["status"]["status_str"] == "success":
            warm.add(marker["workflow"])
    return workflows <= warm


def history_displaced(kind: str, body: bytes, keyless: frozenset[str]) -> bool:
    """Return whether a history shows a workflow without cache nodes and a later one of ours."""
    entries = json.loads(body).values() if kind == "history" else ()
    ran = [entry["prompt"][3].get("comfywarm", {}).get("workflow") for entry in entries]
    return bool(keyless & set(ran)) and ran[-1] not in keyless


Position = tuple[str, int | None]
"""The companion node's instance and the sequence number of its last known change."""


def position_in(text: bytes | str) -> Position:
    """Return the position in a reply or a frame of the companion node."""
    data: Any = json.loads(text)
    data = data.get("data", data)
    return data["instance"], data["sequence"]


def latest_position(known: Position | None, received: Position) -> Position:
    """Return the later of two positions; another instance is always later."""
    if known is None or known[0] != received[0] or known[1] is None:
        return received
    return max(known, received, key=lambda position: position[1] or 0)


def has_keys(text: str) -> bool:
    """Return whether a reply or a frame of the companion node lists all keys as present."""
    data: Any = json.loads(text)
    present = data["data"]["present"] if "data" in data else data["keys"]["present"]
    return set(CACHE_KEYS) <= set(present)


def shows_below(text: str, warm: str) -> bool:
    """Return whether a reply or a frame of the companion node shows a key's models below the level `warm`."""
    data: Any = json.loads(text)
    places = data.get("data", data).get("levels", {}).values()
    return any(is_below(place["level"], min(warm, place["highest"], key=LEVELS.index)) for place in places)


def is_below(level: str, wanted: str) -> bool:
    """Return whether a level is below the wanted one."""
    return LEVELS.index(level) < LEVELS.index(wanted)


def figures_in(frame: str) -> dict[str, float]:
    """Return how far a frame of progress says that each node is; 0 for one that has started."""
    data: Any = json.loads(frame)["data"]
    nodes = data.get("nodes", ())
    if isinstance(nodes, dict):
        return {node: float(entry["value"]) for node, entry in nodes.items()}
    return dict.fromkeys([*nodes, *([data["node"]] if data.get("node") else ())], float(data.get("value", 0)))
