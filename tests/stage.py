"""A client that records a conversation with a ComfyUI server, in the format of the transcripts."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.transcript import Line

POLL_S = 0.02
Frame = dict[str, Any]
Graph = dict[str, Any]
Hold = Callable[[bool], None]
"""Holds the server's worker (True) or lets it continue (False)."""


def no_hold(_held: bool) -> None:
    """Do nothing: a real server cannot be held, and requests must be in time while a model loads."""


@dataclass
class Stage:
    """The clock, HTTP session and sockets of one scenario, recorded in one transcript."""

    session: aiohttp.ClientSession
    scale: float
    hold: Hold = no_hold
    lines: list[Line] = field(default_factory=list)
    watchers: list["Watcher"] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def note(self, conn: str, **what: Any) -> None:
        self.lines.append({"t": round(time.monotonic() - self.started, 4), "conn": conn, **what})

    def graph(self, prefix: str, seconds: float, models: int = 1) -> Graph:
        """Return a graph of `models` slow models named PREFIX-0 …, each cached under its own name."""
        names = [prefix if prefix == "explode" else f"{prefix}-{index}" for index in range(models)]
        graph: Graph = {}
        for index, name in enumerate(names):
            inputs = {"name": name, "seconds": seconds * self.scale}
            graph[f"1{index}"] = {"class_type": "RigSlowModel", "inputs": inputs}
            key = "d-0" if name == "explode" else name
            graph[f"2{index}"] = cache_node(key=key, tag="model", data=[f"1{index}", 0])
        return graph

    async def open(self, conn: str, client_id: str) -> "Watcher":
        """Connect and wait for the first frame, so that later frames are not missed."""
        socket = await self.session.ws_connect("/ws", params={"clientId": client_id}, autoping=False)
        self.note(conn, event="open", client_id=client_id)
        watcher = Watcher(self, conn, socket)
        self.watchers.append(watcher)
        await watcher.until(lambda frame: frame["type"] == "status")
        return watcher

    async def get(self, path: str, **headers: str) -> Any:
        return await self._exchange("GET", path, None, {"headers": headers})

    async def post(self, path: str, body: Any) -> Any:
        """POST a string as it is, anything else as JSON, and return the decoded answer."""
        data = body if isinstance(body, str) else json.dumps(body)
        return await self._exchange("POST", path, body, {"data": data})

    async def submit(self, **body: Any) -> str:
        answer = await self.post("/prompt", body)
        return str(answer["prompt_id"])

    async def _exchange(self, method: str, path: str, body: Any, options: dict[str, Any]) -> Any:
        async with self.session.request(method, path, **options) as response:
            text = await response.text()
            content_type = response.headers.get("Content-Type")
            is_json = (content_type or "").startswith("application/json")
            answer = {"json": json.loads(text)} if is_json else {"text": text}
            length = len(await response.read())
        self.note(
            "http",
            request=f"{method} {path}",
            body=body,
            status=response.status,
            content_type=content_type,
            length=length,
            **answer,
        )
        return answer.get("json")

    async def until_in_history(self, prompt_id: str) -> None:
        """Poll, without recording, until the prompt is in history and the queue is empty."""
        while True:
            async with (
                self.session.get(f"/history/{prompt_id}") as history,
                self.session.get("/prompt") as queue,
            ):
                if await history.json() and not (await queue.json())["exec_info"]["queue_remaining"]:
                    return
            await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        for watcher in self.watchers:
            await watcher.close()


class Watcher:
    """One /ws connection whose frames are recorded as they arrive."""

    def __init__(self, stage: Stage, conn: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.frames: list[Frame] = []
        self.pongs = 0
        self._ends: dict[str, int] = {}
        self._stage, self._conn, self._socket = stage, conn, socket
        self._received = asyncio.Condition()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                frame = json.loads(message.data)
                self.frames.append(frame)
                self._stage.note(self._conn, frame=frame)
            self.pongs += message.type is aiohttp.WSMsgType.PONG
            async with self._received:
                self._received.notify_all()

    async def until(self, wanted: Callable[[Frame], bool]) -> None:
        """Wait until a frame, earlier or new, is `wanted`."""
        async with self._received:
            await self._received.wait_for(lambda: any(map(wanted, self.frames)))

    async def until_over(self, prompt_id: str) -> None:
        """Wait for the last frame that a prompt's owner receives: success, failure or interruption."""
        await self.until(lambda frame: _is_executing(frame, prompt_id) and frame["data"]["node"] is None)

    async def until_ended(self, prompt_id: str) -> None:
        """Wait for one more end of a prompt, whose id may have been used before."""
        ends = self._ends.get(prompt_id, 0) + 1
        self._ends[prompt_id] = ends
        async with self._received:
            await self._received.wait_for(lambda: self._count_ends(prompt_id) >= ends)

    def _count_ends(self, prompt_id: str) -> int:
        return sum(_is_executing(frame, prompt_id) and frame["data"]["node"] is None for frame in self.frames)

    async def until_node_runs(self, prompt_id: str) -> None:
        await self.until(lambda frame: _is_executing(frame, prompt_id) and frame["data"]["node"] is not None)

    async def until_cache_frame(self, sequence: int) -> None:
        """Wait for the frame with this number from comfywarm's node."""
        await self.until(lambda frame: _is_cache_frame(frame) and frame["data"]["sequence"] == sequence)

    async def until_idle_again(self) -> None:
        """Wait until the queue was busy and is empty again."""
        async with self._received:
            await self._received.wait_for(lambda: _is_idle_again(self.frames))

    async def fence(self) -> None:
        """Send a ping and wait for its pong: frames that were sent earlier have then arrived."""
        await self._socket.ping()
        async with self._received:
            await self._received.wait_for(lambda: self.pongs)

    async def ended(self) -> None:
        """Wait until the server has closed the connection."""
        await self._task

    async def close(self) -> None:
        await self._socket.close()
        await self._task


def cache_node(**inputs: Any) -> dict[str, Any]:
    return {"class_type": "CacheBackendData //Inspire", "inputs": inputs}


def keep_node(**inputs: Any) -> dict[str, Any]:
    return {"class_type": "CacheModel //comfywarm", "inputs": inputs}


def drop_node(**inputs: Any) -> dict[str, Any]:
    return {"class_type": "DropModel //comfywarm", "inputs": inputs}


def _is_executing(frame: Frame, prompt_id: str) -> bool:
    return bool(frame["type"] == "executing" and frame["data"].get("prompt_id") == prompt_id)


def _is_cache_frame(frame: Frame) -> bool:
    return bool(frame["type"] == "comfywarm.cache")


def _is_idle_again(frames: list[Frame]) -> bool:
    left = [frame["data"]["status"]["exec_info"]["queue_remaining"] for frame in frames if frame["type"] == "status"]
    return any(left) and left[-1] == 0


@asynccontextmanager
async def watching(base_url: str, client_id: str) -> AsyncIterator[Watcher]:
    """Provide one /ws connection to a test that is not a scenario."""
    async with aiohttp.ClientSession(base_url) as session:
        watcher = await Stage(session, 1.0).open("watcher", client_id)
        try:
            yield watcher
        finally:
            await watcher.close()
