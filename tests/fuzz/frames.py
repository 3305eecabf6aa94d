"""/ws frames: `decode` never raises, and each event can be reduced and serialised."""

import json

import orjson

from statemachine.comfyui.frames import decode, is_session_start
from statemachine.core.events import NodeCursor
from statemachine.core.reducers import REDUCERS
from statemachine.core.server import Attempt, Server
from statemachine.journal.rows import message_row
from tests.transcript import NAMES, recorded

SEEDS = [
    json.dumps(frame).encode()
    for frame in {
        json.dumps(line["frame"]): line["frame"] for name in NAMES for line in recorded(name) if "frame" in line
    }.values()
]
CACHE_FRAME = {"comfywarm": 1, "instance": "i1", "sequence": 3, "change": "loaded", "present": ["key", "b"]}
SEEDS += [
    json.dumps({"type": "comfywarm.cache", "data": {**CACHE_FRAME, **more}}).encode()
    for more in ({}, {"present": [], "change": "cleared"}, {"truncated": True}, {"instance": "i2", "sequence": 9})
]
SEEDS += [
    json.dumps({"type": "progress_state", "data": {"prompt_id": "p", "nodes": {"1": node}}}).encode()
    for node in (
        None,
        {"value": float("nan"), "max": 1},
        {"value": 1, "max": float("inf")},
        {"value": 10**400, "max": 1},
    )
]
PROMPT_ID = "984a08b2-659f-47c7-9e67-12dc9b9c15eb"
TOKENS = [
    "status", "execution_start", "execution_cached", "executing", "progress", "progress_state", "executed",
    "execution_success", "execution_error", "execution_interrupted", "exec_info", "queue_remaining", "prompt_id",
    "nodes", "node", "value", "max", "data", "type", "null", "true", "1e308", "-1", "9223372036854775808", PROMPT_ID,
    "comfywarm.cache", "comfywarm", "instance", "sequence", "present", "truncated", "change",
    "NaN", "Infinity", "\\ud800",
]  # fmt: skip


def run_input(data: bytes) -> None:
    """Decode the input as a text frame."""
    frame = data.decode(errors="replace")
    event = decode(frame)
    is_session_start(frame)
    if event is None:
        return
    attempt = Attempt("a", "flow", PROMPT_ID, 0.0, server_prompt_id=PROMPT_ID, total_nodes=4, cache_nodes={"20": "key"})
    server = Server("a", attempt=attempt, node_cursor=NodeCursor("i1", 2, ("key",)))
    if (reduce := REDUCERS.get(type(event))) is not None:
        reduce(event, server, 1.0)
    orjson.dumps([server.queue_remaining, attempt.progress, *message_row(getattr(event, "message", attempt.message))])
    orjson.dumps(server.node_cursor, default=dict)  # `wanted` is a read-only mapping
    assert 0.0 <= attempt.progress <= 1.0, attempt.progress
