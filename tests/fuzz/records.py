"""Answers of POST /prompt, GET /queue and GET /history: an event, records or a ComfyError."""

import json
from contextlib import suppress

import orjson

from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.records import history_entries, queue_listing
from statemachine.comfyui.submit_replies import parse_submit_reply
from statemachine.comfyui.transport import Reply
from statemachine.core.server import Attempt
from tests.transcript import NAMES, recorded

SEEDS = list({
    json.dumps(line["json"]).encode() for name in NAMES for line in recorded(name) if line.get("json") is not None
})  # fmt: skip
SEEDS += [
    json.dumps({"p": {"prompt": [float("nan"), "p", {"1": "\ud800"}], "status": {"messages": [10**400]}}}).encode(),
    b'\xef\xbb\xbf{"queue_running": [[Infinity, "p", {}, {}, []]], "queue_pending": [NaN, [1]]}',
]
TOKENS = [
    "queue_running", "queue_pending", "prompt", "prompt_id", "number", "node_errors", "error", "errors", "details",
    "message", "extra_data", "outputs", "status", "status_str", "success", "completed", "messages", "execution_error",
    "execution_cached", "execution_interrupted", "comfywarm", "attempt", "workflow", "digest", "class_type", "inputs",
    "key", "CacheBackendData //Inspire", "exception_type", "exception_message", "null", "true", "[]", "{}",
    "NaN", "-Infinity",
    "\\ud800",
]  # fmt: skip
STATUSES = (200, 400, 500, 302)


def run_input(data: bytes) -> None:
    """Read the input as a body. Its first byte also selects the status."""
    reply = Reply(STATUSES[data[0] % len(STATUSES)] if data else 200, data)
    attempt = Attempt("a", "flow", "ours", 0.0, server_prompt_id="theirs")
    with suppress(ComfyError):
        parse_submit_reply(reply, "ours")
    for read in (lambda answer: queue_listing(answer).items, history_entries):
        with suppress(ComfyError):
            for item in read(reply.json_object()):
                item.is_of(attempt)
                orjson.dumps([item.prompt_id, sorted(item.cache_keys)])
