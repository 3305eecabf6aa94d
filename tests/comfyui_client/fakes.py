"""A transport without a network, and builders for workflows, queue items and history entries."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from typing_extensions import override

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.records import MARKER, Marker
from statemachine.comfyui.transport import Reply, Socket, Transport
from statemachine.comfyui.workflow import Workflow, parse_workflow

Scripted = Reply | Exception | Callable[[], Reply]
"""A reply, an error to raise, or a function that makes the reply."""

Replies = Mapping[str, Scripted | list[Scripted]]


def json_reply(value: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value))


def text_reply(text: str, status: int = 200, location: str = "") -> Reply:
    return Reply(status, text.encode(), location)


NOT_FOUND = text_reply("404: Not Found", 404)

IDLE = json_reply({"exec_info": {"queue_remaining": 0}})


class FakeTransport(Transport):
    """Answers from `replies`, by `METHOD path`, by path with query, then by path alone. Records requests.

    Any other path is a 404, except GET /prompt and /system_stats, which every ComfyUI answers.

    A list is used up one reply after the other; its last reply stays.
    """

    def __init__(self, replies: Replies | None = None) -> None:
        self.replies = {"/prompt": IDLE, "/system_stats": json_reply({}), **(replies or {})}
        self.requests: list[str] = []
        self.bodies: list[Any] = []
        self.accept_headers: list[str | None] = []

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        self.requests.append(path if method == "GET" else f"{method} {path}")
        if body is not None:
            self.bodies.append(orjson.loads(body))
        self.accept_headers.append(accept)
        known = self.replies.get(path, self.replies.get(path.partition("?")[0], NOT_FOUND))
        reply = self.replies.get(f"{method} {path}", known)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Reply) else reply()

    @override
    async def connect(self, client_id: str) -> Socket:
        raise AssertionError("the fake transport has no /ws")


def client_of(replies: Replies) -> tuple[ComfyClient, FakeTransport]:
    transport = FakeTransport(replies)
    return ComfyClient(transport), transport


def workflow(name: str, *keys: str, seed: int = 0) -> Workflow:
    """Return a workflow with a loader and a cache node for each key; node ids 10, 20, 21, …"""
    graph: dict[str, Any] = {"10": {"class_type": "Loader", "inputs": {"seed": seed}}}
    for number, key in enumerate(keys):
        inputs = {"key": key, "tag": "t", "data": ["10", 0]}
        graph[str(20 + number)] = {"class_type": "CacheBackendData //Inspire", "inputs": inputs}
    return parse_workflow(name, orjson.dumps(graph))


def marker_of(submitted: Workflow, attempt: str = "ours") -> Marker:
    return Marker(attempt, submitted.name, submitted.digest)


def queue_entry(prompt_id: str, graph: Mapping[str, Any] | None = None, marker: Marker | None = None) -> list[Any]:
    """Return ComfyUI's `[number, prompt_id, graph, extra_data, outputs]`."""
    extra = {"client_id": "c", "create_time": 1} | ({MARKER: marker.as_json()} if marker else {})
    nodes = dict(graph or {})
    outputs = [node_id for node_id, node in nodes.items() if node["class_type"].startswith("CacheBackendData")]
    return [1, prompt_id, nodes, extra, outputs]


def history_entry(prompt: list[Any], status: str = "success", *messages: list[Any]) -> dict[str, Any]:
    """Return the history entry of a prompt that is a queue entry."""
    frames = [["execution_start", {"prompt_id": prompt[1]}], ["execution_cached", {"nodes": []}], *messages]
    return {
        "prompt": prompt,
        "outputs": {},
        "status": {"status_str": status, "completed": status == "success", "messages": frames},
    }


def history_of(submitted: Workflow, attempt: str, status: str = "success", *messages: list[Any]) -> dict[str, Any]:
    """Return the history of one warm-up, by its id."""
    prompt = queue_entry(attempt, submitted.graph, marker_of(submitted, attempt))
    return {attempt: history_entry(prompt, status, *messages)}
