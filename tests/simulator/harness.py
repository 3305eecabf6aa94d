"""A simulated server without sockets, for tests in virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from statemachine.simulator import PROFILES, SimServer
from statemachine.simulator.http import Request
from statemachine.simulator.nodes import CACHE_NODE, Graph, cache_workflow
from statemachine.simulator.profiles import Profile

POLL_S = 0.01
LOADED = "缓存已加载。"
MISSING = "未查询到缓存pulid_eva_clip,pulid_face_analysis,pulid_model,ben2_base"


class RecordingSocket:
    """A /ws connection that records the frames that it receives."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed = False

    def send(self, text: str) -> None:
        self.frames.append(json.loads(text))

    def close(self) -> None:
        self.closed = True

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def last(self, kind: str) -> Any:
        """Return the data of the newest frame of a type."""
        return next(frame["data"] for frame in reversed(self.frames) if frame["type"] == kind)


class ServerHarness:
    """One running server and the requests of a test."""

    def __init__(self, server: SimServer) -> None:
        self.server = server

    async def get(self, path: str, **query: str) -> Any:
        response = await self.server.handle(Request("GET", path, query))
        text = response.body.decode()
        return json.loads(text) if (response.content_type or "").startswith("application/json") else text

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        response = await self.server.handle(Request("POST", path, body=json.dumps(body).encode()))
        return response.status, json.loads(response.body) if response.body else None

    async def submit(self, graph: Graph | None = None, **more: Any) -> str:
        status, reply = await self.post("/prompt", {"prompt": graph or cache_workflow(), **more})
        assert status == 200, reply
        return str(reply["prompt_id"])

    async def until(self, holds: Callable[[], Any], seconds: float = 600.0) -> None:
        for _ in range(int(seconds / POLL_S)):
            if holds():
                return
            await asyncio.sleep(POLL_S)
        raise TimeoutError(f"not within {seconds} s")

    async def finish(self, prompt_id: str) -> Any:
        """Wait for the prompt's history entry; return its status."""
        await self.until(lambda: prompt_id in self.server.process.queue.history)
        return self.server.process.queue.history[prompt_id]["status"]

    async def run(self, graph: Graph | None = None, **more: Any) -> Any:
        return await self.finish(await self.submit(graph, **more))


def slow_model(name: str, seconds: float, tag: str = "model") -> Graph:
    return {
        "10": {"class_type": "RigSlowModel", "inputs": {"name": name, "seconds": seconds}},
        "20": {"class_type": CACHE_NODE, "inputs": {"key": name, "tag": tag, "data": ["10", 0]}},
    }


@asynccontextmanager
async def running_server(profile: str | Profile = "cold", seed: int = 1) -> AsyncIterator[ServerHarness]:
    kind = PROFILES[profile] if isinstance(profile, str) else profile
    server = SimServer(kind, Random(seed))
    await server.start()
    try:
        yield ServerHarness(server)
    finally:
        await server.stop()
