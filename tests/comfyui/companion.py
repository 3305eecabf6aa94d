"""Servers with and without the companion node, and clients of its check and its frames."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.comfyui.rig import RealServer, cache_workflow

FLOW = cache_workflow("a", "b", seconds=0.3)
JSON = {"Accept": "application/json"}
FRAME_TIMEOUT_S = 10.0


@dataclass
class Servers:
    """`node` has the companion node, `starting` also starts its workflow itself, `bare` has no companion node."""

    node: RealServer
    starting: RealServer
    bare: RealServer


async def get_check(server: RealServer, query: str = "", **headers: str) -> tuple[int, str]:
    """Return the status and the body of the check's answer."""
    url = f"{server.url}/cache/check{query}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def get_json(server: RealServer, query: str = "") -> dict[str, Any]:
    """Return the check's answer as JSON."""
    status, body = await get_check(server, query, **JSON)
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


@dataclass
class FrameListener:
    """A /ws client that records the node's frames with the monotonic time of each."""

    socket: aiohttp.ClientWebSocketResponse
    frames: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    async def next(self) -> dict[str, Any]:
        """Wait for the node's next frame and return its data."""
        async with asyncio.timeout(FRAME_TIMEOUT_S):
            while True:
                frame = await self.socket.receive_json()
                if frame["type"] == "comfywarm.cache":
                    self.frames.append((time.monotonic(), frame["data"]))
                    return dict(frame["data"])


@asynccontextmanager
async def listening(server: RealServer, client_id: str) -> AsyncIterator[FrameListener]:
    """Connect a listener that receives no earlier changes: the node looks for changes before each answer."""
    await get_json(server, "?peek=1")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.url}/ws?clientId={client_id}") as socket,
    ):
        assert (await socket.receive_json())["type"] == "status"
        yield FrameListener(socket)
