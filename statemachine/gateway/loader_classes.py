"""Which inputs of node classes name model files, learned from a server's /object_info/CLASS.

Only classes of graphs that were posted are asked for, each once, and no prompt waits for it.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from statemachine.comfyui.object_info import files_of, is_described, is_file
from statemachine.core.vocabulary import State
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream, is_name

MAX_CLASSES = 2_000
MAX_WAITING = 200
MAX_NAME = 200
EXAMPLE = [["model.safetensors"]]
"""What is kept of an input that lists model files."""


class LoaderClasses:
    """The known node classes. `descriptions` have the form of /object_info, with the inputs for models only."""

    def __init__(self) -> None:
        self.descriptions: dict[str, Any] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._asked: set[str] = set()

    def note(self, graph: Mapping[str, Any]) -> None:
        """Ask for the classes of a graph that may load models and were not asked for."""
        for name in _loaders(graph):
            if name not in self._asked and len(self._asked) < MAX_CLASSES and not self._waiting.full():
                self._asked.add(name)
                self._waiting.put_nowait(name)

    async def run(self, view: FleetView, upstream: Upstream) -> None:
        """Ask the servers until cancelled."""
        while True:
            name = await self._waiting.get()
            for server in view:
                if server.state == State.UNREACHABLE.value:
                    continue
                with suppress(NotSentError, NoAnswerError):
                    answer = await upstream.json(server.config, f"/object_info/{quote(name, safe='')}")
                    description = answer.get(name) if isinstance(answer, dict) else None
                    if is_described(description):
                        self.descriptions[name] = _compact(description)
                        break


def _loaders(graph: Mapping[str, Any]) -> Iterator[str]:
    """Yield the classes of nodes with a text that may be the name of a file."""
    for node in graph.values():
        match node:
            case {"class_type": str() as name, "inputs": dict() as inputs} if len(name) <= MAX_NAME and is_name(name):
                if any(isinstance(value, str) and is_file(value) for value in inputs.values()):
                    yield name


def _compact(description: Any) -> dict[str, Any]:
    inputs = description["input"]
    groups = [group for group in inputs.values() if isinstance(group, dict)] if isinstance(inputs, dict) else []
    names = {name for group in groups for name in group if files_of(description, name).count}
    return {"input": {"required": dict.fromkeys(names, EXAMPLE)}}
