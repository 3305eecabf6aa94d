"""The companion node in real ComfyUI servers: its answers, its frames and its cost."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.comfyui.rig import Graph, RealServer, Rig, cache_workflow

FLOW = cache_workflow("a", "b", seconds=0.3)
LOADED = "缓存已加载。"
JSON = {"Accept": "application/json"}
CHANGE_COUNT = 50
RUN_COUNT = 12
ROUNDS = 8_000_000
IDLE_S = 4.0
FRAME_TIMEOUT_S = 10.0


@dataclass
class Servers:
    """`node` has the companion node, `starting` also starts its workflow itself, `bare` has no companion node."""

    node: RealServer
    starting: RealServer
    bare: RealServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    rig = Rig(tmp_path_factory.mktemp("node"))
    try:
        node, bare = rig.server(node=True, workflow=FLOW), rig.server(workflow=FLOW)
        starting = rig.server(node=True, auto_start=True, workflow=FLOW)
        await rig.start_all()
        yield Servers(node, starting, bare)
    finally:
        rig.end()


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


async def cached_by_executor(server: RealServer, prompt_id: str) -> list[str]:
    """Return the nodes that the executor did not run for this prompt."""
    messages = (await server.history())[prompt_id]["status"]["messages"]
    return sorted(next(data["nodes"] for kind, data in messages if kind == "execution_cached"))


def companion_workflow(key: str, *, drop: bool = False) -> Graph:
    """Return a workflow with the companion node's classes: cache a model, and drop it if `drop`."""
    graph: Graph = {
        "10": {"class_type": "RigTorchModel", "inputs": {"name": key}},
        "20": {"class_type": "CacheModel //comfywarm", "inputs": {"key": key, "tag": "t", "data": ["10", 0]}},
    }
    if drop:
        graph["30"] = {"class_type": "DropModel //comfywarm", "inputs": {"key": key, "after": ["20", 0]}}
    return graph


async def test_check_reports_keys_as_text_and_json(servers: Servers) -> None:
    server = servers.node
    assert await get_check(server) == (200, "未查询到缓存a,b。")
    assert (await get_json(server))["keys"] == {"present": [], "missing": ["a", "b"]}
    running = await server.submit(cache_workflow("a", "b", seconds=1.0))
    loading = await get_json(server, "?workflow=cache")
    assert (loading["loading"], loading["auto_started"]) == (True, False)
    assert not (await get_json(server, "?key=c"))["loading"]
    await server.wait_idle()
    assert running in await server.history()
    assert await get_check(server) == (200, LOADED)
    assert await get_check(server, "?key=a&key=c") == (200, "未查询到缓存c。")
    assert (await get_json(server, "?key=a&key=c&workflow=cache"))["keys"] == {"present": ["a", "b"], "missing": ["c"]}
    await server.clear_keys()


async def test_cache_model_lost_key_returns_with_same_prompt(servers: Servers) -> None:
    """The companion node's classes have no "success without loading" (docs/comfyui.md); keys survive other prompts."""
    server = servers.node
    await server.submit(companion_workflow("mine"))
    await server.submit(cache_workflow("other"))
    await server.submit(companion_workflow("mine"))
    await server.wait_idle()
    assert await get_check(server, "?key=mine") == (200, LOADED)
    await server.submit(companion_workflow("mine", drop=True))
    await server.wait_idle()
    assert await get_check(server, "?key=mine") == (200, "未查询到缓存mine。")
    again = await server.submit(companion_workflow("mine"))
    await server.wait_idle()
    assert await cached_by_executor(server, again) == ["10"]
    assert await get_check(server, "?key=mine") == (200, LOADED)
    models = (await get_json(server, "?key=mine"))["held"]
    assert models == {"vram": [], "ram": [{"name": "RigModel", "bytes": 256 * 256 * 4}]}
    await server.submit(companion_workflow("mine", drop=True))
    await server.clear_keys()
    await server.wait_idle()


async def test_frames_every_change_reaches_all_clients(servers: Servers) -> None:
    server = servers.node
    async with listening(server, "one") as one, listening(server, "two") as two:
        actions: list[Callable[[], Awaitable[Any]]] = [
            lambda: server.post("/rig/put", {"keys": ["x", "y"]}),
            lambda: server.clear_keys("x"),
            lambda: server.submit(companion_workflow("mine")),
            lambda: server.post("/free", {"unload_models": True}),
            lambda: server.clear_keys("*"),
            lambda: server.submit(companion_workflow("mine", drop=True)),
        ]
        received = []
        for action in actions:
            await action()
            received.append(await one.next())
            assert received[-1] == await two.next()
    assert [(data["change"], data["present"]) for data in received] == [
        ("loaded", ["x", "y"]),
        ("evicted", ["y"]),
        ("loaded", ["mine", "y"]),
        ("unloaded", ["mine", "y"]),
        ("evicted", ["mine"]),
        ("cleared", []),
    ]
    first = received[0]["sequence"]
    assert [data["sequence"] for data in received] == list(range(first, first + len(received)))
    assert (await get_json(server, "?peek=1"))["sequence"] == received[-1]["sequence"]


async def test_frames_arrive_within_50_ms(servers: Servers) -> None:
    server, delays = servers.node, []
    async with listening(server, "quick") as listener:
        for index in range(CHANGE_COUNT):
            await asyncio.sleep(index * 0.007 % 0.02)  # vary the time since the node last looked
            at = (await server.post(f"/rig/{'drop' if index % 2 else 'put'}", {"keys": ["k"]}))["at"]
            await listener.next()
            delays.append(listener.frames[-1][0] - at)
    print(f"from a change to its frame, {CHANGE_COUNT} changes: median {median(delays) * 1000:.1f} ms, "
          f"maximum {max(delays) * 1000:.1f} ms")  # fmt: skip
    assert median(delays) < 0.05


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?workflow=nothing", 400),
        ("?workflow=../cache", 400),
        ("?workflow=", 400),
        ("?workflow=%00&workflow=cache", 400),
        ("?key=", 400),
        ("?key=" + "k" * 501, 400),
        ("?" + "&".join(["key=k"] * 201), 400),
        ("?key=%ff%fe&key=%F0%9F%92%A9&key=%0A", 200),
        ("?key=a&peek=1", 200),
        ("?peek=1", 200),
        ("?unknown=1", 200),
    ],
)
async def test_check_invalid_query_answers_400_with_reason(servers: Servers, query: str, status: int) -> None:
    found, body = await get_check(servers.node, query)
    assert found == status, body
    assert ("error" in body) == (status == 400)


async def test_check_unreadable_cache_counts_as_empty(servers: Servers) -> None:
    server = servers.node
    async with listening(server, "broken") as listener:
        await server.post("/rig/put", {"keys": ["a", "b"]})
        await listener.next()
        await server.post("/rig/break", {})
        assert (await listener.next())["change"] == "cleared"
        assert await get_check(server) == (200, "未查询到缓存a,b。")
        await server.post("/rig/break", {})
        await server.post("/rig/put", {"keys": ["a", "b"]})
        assert (await listener.next())["present"] == ["a", "b"]
        assert await get_check(server) == (200, LOADED)
    assert server.log.read_text("utf-8").count("cannot read the cache of this Inspire-Pack release") == 1
    await server.clear_keys()


async def test_check_with_auto_start_starts_workflow_once(servers: Servers) -> None:
    server = servers.starting
    started = "未查询到缓存a,b，已经自动在后台执行缓存模型工作流。"
    assert await get_check(server, "?peek=1&workflow=cache") == (200, "未查询到缓存a,b。")
    async with listening(server, "starter") as listener:
        answers = await asyncio.gather(*(get_check(server) for _ in range(5)))
        assert answers == [(200, started)] * 5
        assert (await listener.next())["change"] == "started"
    await server.wait_idle()
    assert await get_check(server) == (200, LOADED)
    history = await server.history()
    assert len(history) == 1
    assert all("client_id" not in entry["prompt"][3] for entry in history.values())


async def test_check_ineffective_start_is_not_repeated(servers: Servers) -> None:
    """Inspire-Pack's keys are lost while the executor still caches the nodes, so the started prompt sets no key."""
    server = servers.starting
    await get_check(server)
    await server.wait_idle()
    before = len(await server.history())
    await server.clear_keys()
    assert "自动" in (await get_check(server))[1]
    await server.wait_idle()
    assert await get_check(server) == (200, "未查询到缓存a,b。")
    assert len(await server.history()) == before + 1


async def test_check_after_restart_has_new_instance(servers: Servers) -> None:
    server = servers.starting
    first = await get_json(server, "?peek=1")
    await server.kill()
    await server.start()
    second = await get_json(server, "?peek=1")
    assert first["instance"] != second["instance"]
    assert second["sequence"] == 0


async def test_node_slows_runs_by_less_than_20_percent(servers: Servers) -> None:
    """A node of pure Python, which a watching thread slows down most, runs alternately on both servers."""
    times: dict[str, list[float]] = {"with": [], "without": []}
    for run in range(RUN_COUNT):
        both = [("with", servers.node), ("without", servers.bare)]
        for name, server in both if run % 2 else reversed(both):
            times[name].append(await _work(server, run))
    ratio = median(times["with"]) / median(times["without"])
    print(f"{RUN_COUNT} runs on each server: median {median(times['with']):.0f} ms with the node, "
          f"{median(times['without']):.0f} ms without, ratio {ratio:.3f}")  # fmt: skip
    assert ratio < 1.2


async def _work(server: RealServer, seed: int) -> float:
    """Return the milliseconds from the start to the success of a run, by ComfyUI's clock."""
    prompt_id = await server.submit({"1": {"class_type": "RigWork", "inputs": {"rounds": ROUNDS, "seed": seed}}})
    await server.wait_idle()
    messages = dict((await server.history())[prompt_id]["status"]["messages"])
    return float(messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"])


async def test_node_idle_uses_less_than_2_percent_cpu(servers: Servers) -> None:
    before = [_cpu_s(server) for server in (servers.node, servers.bare)]
    await asyncio.sleep(IDLE_S)
    after = [_cpu_s(server) for server in (servers.node, servers.bare)]
    with_node, without = ((late - early) / IDLE_S for early, late in zip(before, after, strict=True))
    print(f"share of one processor while idle: {with_node:.2%} with the node, {without:.2%} without")
    assert with_node - without < 0.02


def _cpu_s(server: RealServer) -> float:
    """Return the CPU seconds of the main thread, which runs the event loop."""
    assert server.process
    schedstat = Path(f"/proc/{server.process.pid}/schedstat")
    return int(schedstat.read_text("ascii").split()[0]) / 1e9
