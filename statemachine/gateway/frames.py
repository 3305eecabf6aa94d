"""The frames that the gateway itself sends to clients."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from statemachine.gateway.json_text import dumps
from statemachine.gateway.records import PromptRecord, tagged

START, SUCCESS, ERROR, INTERRUPTED = "execution_start", "execution_success", "execution_error", "execution_interrupted"
EXECUTING, EXECUTED, STATUS = "executing", "executed", "status"
ENDS = frozenset({SUCCESS, ERROR, INTERRUPTED})


def frame(kind: str, data: Mapping[str, Any]) -> str:
    """Return the text of a frame."""
    return dumps({"type": kind, "data": data}).decode()


def status(remaining: int, sid: str | None = None) -> str:
    """Return the frame with the length of a client's own queue. The first one has the client id as `sid`."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    return frame(STATUS, data if sid is None else {**data, "sid": sid})


def finished(record: PromptRecord) -> str:
    """Return the frame after the end of a prompt."""
    return frame(EXECUTING, {"node": None, "prompt_id": record.prompt_id})


def loss(record: PromptRecord) -> dict[str, Any]:
    """Return the data of the error of a prompt that was lost."""
    node_id, node_type = record.node
    return {
        "prompt_id": record.prompt_id,
        "node_id": node_id,
        "node_type": node_type,
        "executed": [],
        "exception_message": record.error,
        "exception_type": "PromptLost",
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
        "timestamp": int(time.time() * 1000),
    }


def kept_entry(record: PromptRecord) -> dict[str, Any]:
    """Return the history entry of a prompt whose server has none, from what was kept of it."""
    extra_data = {"client_id": record.client_id} if record.client_id else {}
    success = record.end[0] == SUCCESS
    status_str = "success" if success else "error"
    return {
        "prompt": [record.number, record.prompt_id, {}, extra_data, []],
        "outputs": tagged(record.outputs, record.prompt_id),
        "status": {"status_str": status_str, "completed": success, "messages": [record.end]},
        "meta": {},
    }


def missed(record: PromptRecord, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the frames of a history entry, with their keys, by which those that were sent are known."""
    outputs = entry.get("outputs")
    for node, output in (outputs if isinstance(outputs, dict) else {}).items():
        data = {"node": node, "display_node": node, "output": tagged(output, record.prompt_id)}
        yield node_key(node), frame(EXECUTED, {**data, "prompt_id": record.prompt_id})
    for kind, data in messages(entry):
        if kind in ENDS:
            yield kind, frame(kind, {**data, "prompt_id": record.prompt_id})


def node_key(node: object) -> str:
    """Return the key of the `executed` frame of a node."""
    return f"{EXECUTED} {node}"


def messages(entry: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and data of each frame that a history entry keeps."""
    found = entry.get("status")
    kept = found.get("messages") if isinstance(found, dict) else None
    for one in kept if isinstance(kept, list) else ():
        match one:
            case [str() as kind, dict() as data]:
                yield kind, data
