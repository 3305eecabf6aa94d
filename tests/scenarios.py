"""The recorded scenarios, played against any server that speaks ComfyUI's protocol: real or simulated.

`play` returns lines in the recorded format; `tests/transcript.py` compares them with what was recorded. The
server must have the nodes `RigSlowModel` and `CacheBackendData //Inspire`, must be idle, and must not have
seen a scenario before: play them in order on one fresh server (02 posts 01's graph again, 09 lists what 07
and 08 left in history).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.transcript import Line

PATIENCE_S = 30.0
POLL_S = 0.02
INTERRUPTED_MODEL_S = 6.0
"""Long, so that the interrupt comes within the node's first steps even on a busy machine."""
Frame = dict[str, Any]
Graph = dict[str, Any]


Hold = Callable[[bool], None]
"""Makes the server's worker stand still (True) and go on (False)."""


def no_hold(_held: bool) -> None:
    """A real server cannot be held: what must happen while a model loads has the model's seconds."""


async def play(scenario_name: str, base_url: str, scale: float = 1.0, hold: Hold = no_hold) -> list[Line]:
    """Play one scenario ("01_success_with_progress" … as the files are called) and return its transcript.

    `scale` multiplies the recorded seconds that the rig's models take to load. `hold`, if the server can be held,
    takes the race out of requests that must come while a model loads.
    """
    async with aiohttp.ClientSession(base_url) as session, asyncio.timeout(PATIENCE_S):
        stage = Stage(session, scale, hold)
        try:
            await {**SCENARIOS, **WITH_COMPANION}[scenario_name](stage)
        finally:
            await stage.close()
        return stage.lines


async def play_all(base_url: str, scale: float = 1.0, hold: Hold = no_hold) -> dict[str, list[Line]]:
    """Every scenario in order against one fresh server: name → transcript."""
    return {name: await play(name, base_url, scale, hold) for name in SCENARIOS}


@dataclass
class Stage:
    """One scenario's clock, HTTP session and sockets, all written into one transcript."""

    session: aiohttp.ClientSession
    scale: float
    hold: Hold = no_hold
    lines: list[Line] = field(default_factory=list)
    watchers: list["Watcher"] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def note(self, conn: str, **what: Any) -> None:
        self.lines.append({"t": round(time.monotonic() - self.started, 4), "conn": conn, **what})

    def graph(self, prefix: str, seconds: float, models: int = 1) -> Graph:
        """`models` slow models named PREFIX-0…, each put under a key of its own name."""
        names = [prefix if prefix == "explode" else f"{prefix}-{index}" for index in range(models)]
        graph: Graph = {}
        for index, name in enumerate(names):
            inputs = {"name": name, "seconds": seconds * self.scale}
            graph[f"1{index}"] = {"class_type": "RigSlowModel", "inputs": inputs}
            key = "d-0" if name == "explode" else name
            graph[f"2{index}"] = cache_node(key=key, tag="model", data=[f"1{index}", 0])
        return graph

    async def open(self, conn: str, client_id: str) -> "Watcher":
        """Connect and wait for the first frame, so that nothing after this call is missed."""
        socket = await self.session.ws_connect("/ws", params={"clientId": client_id}, autoping=False)
        self.note(conn, event="open", client_id=client_id)
        watcher = Watcher(self, conn, socket)
        self.watchers.append(watcher)
        await watcher.until(lambda frame: frame["type"] == "status")
        return watcher

    async def get(self, path: str, **headers: str) -> Any:
        return await self._exchange("GET", path, None, {"headers": headers})

    async def post(self, path: str, body: Any) -> Any:
        """POST `body`, as it is if it is a string, else as JSON; the decoded answer."""
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
        """Ask, without writing it down, until the prompt is in history and nothing runs any more."""
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
    """One /ws connection whose frames are written down as they come."""

    def __init__(self, stage: Stage, conn: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.frames: list[Frame] = []
        self.pongs = 0
        self._stage, self._conn, self._socket = stage, conn, socket
        self._heard = asyncio.Condition()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                frame = json.loads(message.data)
                self.frames.append(frame)
                self._stage.note(self._conn, frame=frame)
            self.pongs += message.type is aiohttp.WSMsgType.PONG
            async with self._heard:
                self._heard.notify_all()

    async def until(self, wanted: Callable[[Frame], bool]) -> None:
        """Wait until a frame that is `wanted` has come (it may have come before)."""
        async with self._heard:
            await self._heard.wait_for(lambda: any(map(wanted, self.frames)))

    async def until_over(self, prompt_id: str) -> None:
        """Wait for the frame that ends a prompt's frames for its owner, whichever way it ended."""
        await self.until(lambda frame: _is_executing(frame, prompt_id) and frame["data"]["node"] is None)

    async def until_node_runs(self, prompt_id: str) -> None:
        await self.until(lambda frame: _is_executing(frame, prompt_id) and frame["data"]["node"] is not None)

    async def until_told(self, sequence: int) -> None:
        """Wait for the frame of that number from comfywarm's node."""
        await self.until(lambda frame: _is_cache_frame(frame) and frame["data"]["sequence"] == sequence)

    async def until_idle_again(self) -> None:
        """Wait for the queue, seen busy, to have run dry."""
        async with self._heard:
            await self._heard.wait_for(lambda: _ran_dry(self.frames))

    async def fence(self) -> None:
        """A ping and its pong: whatever the server had sent before is heard now."""
        await self._socket.ping()
        async with self._heard:
            await self._heard.wait_for(lambda: self.pongs)

    async def ended(self) -> None:
        """Wait until the server's end of the connection is gone."""
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


def _ran_dry(frames: list[Frame]) -> bool:
    left = [frame["data"]["status"]["exec_info"]["queue_remaining"] for frame in frames if frame["type"] == "status"]
    return any(left) and left[-1] == 0


async def success_with_progress(stage: Stage) -> None:
    owner = await stage.open("owner", "own-1")
    observer = await stage.open("observer", "obs-1")
    stage.hold(True)
    prompt_id = await stage.submit(prompt=stage.graph("a", 0.4, models=2), client_id="own-1")
    await owner.until_node_runs(prompt_id)
    await stage.get("/queue")
    await stage.get(f"/history/{prompt_id}")
    stage.hold(False)
    await owner.until_over(prompt_id)
    await observer.until_idle_again()
    await stage.get(f"/history/{prompt_id}")


async def resubmitted_everything_cached(stage: Stage) -> None:
    owner = await stage.open("owner", "own-2")
    prompt_id = await stage.submit(
        prompt=stage.graph("a", 0.4, models=2),
        client_id="own-2",
        prompt_id="3f0c9b9e-51c0-4a34-9a25-6d2c7f4ab001",
    )
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")


async def submitted_without_client_id(stage: Stage) -> None:
    observer = await stage.open("observer", "obs-3")
    prompt_id = await stage.submit(prompt=stage.graph("c", 0.4, models=2))
    await observer.until_idle_again()
    await stage.get(f"/history/{prompt_id}")


async def node_raises(stage: Stage) -> None:
    owner = await stage.open("owner", "own-4")
    prompt_id = await stage.submit(prompt=stage.graph("explode", 0.4), client_id="own-4")
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")


async def interrupted(stage: Stage) -> None:
    owner = await stage.open("owner", "own-5")
    observer = await stage.open("observer", "obs-5")
    prompt_id = await stage.submit(prompt=stage.graph("e", INTERRUPTED_MODEL_S, models=2), client_id="own-5")
    await owner.until(lambda frame: frame["type"] == "progress")
    await stage.post("/interrupt", {"prompt_id": prompt_id})
    await owner.until_over(prompt_id)
    await observer.until_idle_again()
    await stage.get(f"/history/{prompt_id}")


async def pending_deleted(stage: Stage) -> None:
    owner = await stage.open("owner", "own-6")
    stage.hold(True)
    running = await stage.submit(prompt=stage.graph("f", 1.5), client_id="own-6")
    await owner.until_node_runs(running)
    pending = await stage.submit(prompt=stage.graph("g", 1.5), client_id="own-6")
    await stage.post("/queue", {"delete": [pending]})
    await stage.get(f"/history/{pending}")
    stage.hold(False)
    await owner.until_over(running)
    await stage.get(f"/history/{running}")
    await stage.get(f"/history/{pending}")


async def refused_and_misdirected(stage: Stage) -> None:
    owner = await stage.open("owner", "own-7")
    await stage.post("/api/queue", {"prompt": stage.graph("model", 0.4), "client_id": "own-7"})
    ui_format = {"last_node_id": 3, "nodes": [{"id": 1, "type": "RigSlowModel"}], "links": [], "version": 0.4}
    await stage.post("/prompt", {"prompt": {}})
    await stage.post("/prompt", {"nothing": 1})
    await stage.post("/prompt", "{not json")
    await stage.post("/prompt", "")
    await stage.post("/prompt", {"prompt": None})
    await stage.post("/prompt", {"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
    await stage.post("/prompt", {"prompt": {"1": {"inputs": {}}}})
    await stage.post("/prompt", {"prompt": {"20": cache_node(key="k")}})
    await stage.post("/prompt", {"prompt": ui_format})
    half_good = {**stage.graph("h", 0.1), "31": cache_node(key="x")}
    prompt_id = await stage.submit(prompt=half_good, client_id="own-7")
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")
    await stage.submit(prompt=stage.graph("i", 0.1), client_id="own-7", prompt_id=None)
    await owner.until_over("None")


async def second_socket_same_client_id(stage: Stage) -> None:
    first = await stage.open("first", "dup-8")
    second = await stage.open("second", "dup-8")
    await first.close()
    stage.note("note", text="first socket was closed after the second opened with the same clientId")
    prompt_id = await stage.submit(prompt=stage.graph("j", 0.3), client_id="dup-8")
    await stage.until_in_history(prompt_id)
    await second.fence()
    await stage.get(f"/history/{prompt_id}")


async def two_prompts_one_id(stage: Stage) -> None:
    owner = await stage.open("owner", "own-9")
    body = {
        "prompt": stage.graph("k", 0.6),
        "client_id": "own-9",
        "prompt_id": "3f0c9b9e-51c0-4a34-9a25-6d2c7f4ab009",
    }
    stage.hold(True)
    prompt_id = await stage.submit(**body)
    await owner.until_node_runs(prompt_id)
    await stage.submit(**body)
    await stage.get("/queue")
    stage.hold(False)
    await owner.until(lambda frame: frame["type"] == "execution_cached" and bool(frame["data"]["nodes"]))
    await owner.until_idle_again()
    await stage.until_in_history(prompt_id)
    await owner.fence()
    await stage.get("/history?max_items=3")


async def companion_node(stage: Stage) -> None:
    """comfywarm's node: its answers, a frame for each change to all clients, and no trap in its own cache."""
    owner = await stage.open("owner", "own-10")
    observer = await stage.open("observer", "obs-10")
    for query in ("key=n-0", "key=n-0&key=o-0", "workflow=cache", "workflow=nothing", "key=", "key=x&peek=1"):
        await stage.get(f"/cache/check?{query}")
    await stage.get("/cache/check?peek=1", Accept="application/json")
    stage.hold(True)
    prompt_id = await stage.submit(prompt=stage.graph("n", 0.8), client_id="own-10")
    await owner.until_node_runs(prompt_id)
    await stage.get("/cache/check?key=n-0&key=other", Accept="application/json")
    stage.hold(False)
    await owner.until_over(prompt_id)
    await observer.until_told(1)
    await stage.get("/cache/check?key=n-0&key=other&key=n-0", Accept="application/json")
    await stage.get("/cache/check?key=n-0", Accept="application/json, text/plain, */*")
    await _kept_and_lost(stage, owner, observer)
    await stage.get("/cache/check?key=n-0", Accept="application/json")


async def _kept_and_lost(stage: Stage, owner: Watcher, observer: Watcher) -> None:
    """Keep, drop while the executor holds the node, keep by the very same prompt; lose Inspire-Pack's, and the rest."""
    model = {"class_type": "RigSlowModel", "inputs": {"name": "o-0", "seconds": 0.4 * stage.scale}}
    keep = {"10": model, "20": keep_node(key="o-0", tag="model", data=["10", 0])}
    drop = {**keep, "30": drop_node(key="o-0", after=["20", 0])}
    for sequence, graph in ((2, keep), (3, drop), (4, keep)):
        await owner.until_over(await stage.submit(prompt=graph, client_id="own-10"))
        await observer.until_told(sequence)
    await stage.get("/inspire/cache/clear")
    await observer.until_told(5)
    await owner.until_over(await stage.submit(prompt=drop, client_id="own-10"))
    await observer.until_told(6)
    await owner.until_told(6)


@asynccontextmanager
async def watching(base_url: str, client_id: str) -> AsyncIterator[Watcher]:
    """One /ws connection for a test that is not a scenario."""
    async with aiohttp.ClientSession(base_url) as session:
        watcher = await Stage(session, 1.0).open("watcher", client_id)
        try:
            yield watcher
        finally:
            await watcher.close()


SCENARIOS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "01_success_with_progress": success_with_progress,
    "02_resubmitted_everything_cached": resubmitted_everything_cached,
    "03_submitted_without_client_id": submitted_without_client_id,
    "04_node_raises": node_raises,
    "05_interrupted": interrupted,
    "06_pending_deleted": pending_deleted,
    "07_refused_and_misdirected": refused_and_misdirected,
    "08_second_socket_same_client_id": second_socket_same_client_id,
    "09_two_prompts_one_id": two_prompts_one_id,
}
WITH_COMPANION: dict[str, Callable[[Stage], Awaitable[None]]] = {"10_companion_node": companion_node}
"""For a fresh server with comfywarm's node, which has a workflow file `cache` for the mission's keys."""
