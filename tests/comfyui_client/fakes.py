"""A transport without a network: what each path answers is said beforehand, and what was asked is kept."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from typing_extensions import override

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.records import MARKER, Marker
from statemachine.comfyui.transport import Reply, Socket, Transport
from statemachine.comfyui.workflow import Workflow, parse_workflow

Said = Reply | Exception | Callable[[], Reply]


def json_reply(value: object, status: int = 200) -> Reply:
    return Reply(status, orjson.dumps(value))


def text_reply(text: str, status: int = 200, location: str = "") -> Reply:
    return Reply(status, text.encode(), location)


NOT_FOUND = text_reply("404: Not Found", 404)


class FakeTransport(Transport):
    """`said[path]` is one answer for ever, or a list: one after another, the last for ever. Other paths are a 404.

    A path without a query is said of all its queries for which nothing else is. `accepted` are the answers wanted.
    """

    def __init__(self, said: Mapping[str, Said | list[Said]] | None = None) -> None:
        self.said: dict[str, Said | list[Said]] = dict(said or {})
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        self.accepted: list[str | None] = []

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        self.asked.append(path if method == "GET" else f"{method} {path}")
        if body is not None:
            self.bodies.append(orjson.loads(body))
        self.accepted.append(accept)
        said = self.said.get(path, self.said.get(path.partition("?")[0], NOT_FOUND))
        if isinstance(said, list):
            said = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Reply) else said()

    @override
    async def connect(self, client_id: str) -> Socket:
        raise AssertionError("no test of this page opens /ws")


def client_of(said: Mapping[str, Said | list[Said]]) -> tuple[ComfyClient, FakeTransport]:
    transport = FakeTransport(said)
    return ComfyClient(transport), transport


def workflow(name: str, *keys: str, seed: int = 0) -> Workflow:
    """A workflow with a loader and one cache node for each key; node ids 10, 20, 21, …"""
    graph: dict[str, Any] = {"10": {"class_type": "Loader", "inputs": {"seed": seed}}}
    for number, key in enumerate(keys):
        inputs = {"key": key, "tag": "t", "data": ["10", 0]}
        graph[str(20 + number)] = {"class_type": "CacheBackendData //Inspire", "inputs": inputs}
    return parse_workflow(name, orjson.dumps(graph))


def marker_of(one: Workflow, attempt: str = "ours") -> Marker:
    return Marker(attempt, one.name, one.digest)


def queue_entry(prompt_id: str, graph: Mapping[str, Any] | None = None, marker: Marker | None = None) -> list[Any]:
    """[number, prompt_id, graph, extra_data, outputs], as ComfyUI keeps it."""
    extra = {"client_id": "c", "create_time": 1} | ({MARKER: marker.as_json()} if marker else {})
    nodes = dict(graph or {})
    outputs = [node_id for node_id, node in nodes.items() if node["class_type"].startswith("CacheBackendData")]
    return [1, prompt_id, nodes, extra, outputs]


def history_entry(prompt: list[Any], status: str = "success", *messages: list[Any]) -> dict[str, Any]:
    """A history entry of a queue entry."""
    told = [["execution_start", {"prompt_id": prompt[1]}], ["execution_cached", {"nodes": []}], *messages]
    return {
        "prompt": prompt,
        "outputs": {},
        "status": {"status_str": status, "completed": status == "success", "messages": told},
    }


def ran(one: Workflow, attempt: str, status: str = "success", *messages: list[Any]) -> dict[str, Any]:
    """The history of one run of our workflow, keyed by its id."""
    return {attempt: history_entry(queue_entry(attempt, one.graph, marker_of(one, attempt)), status, *messages)}
