"""The companion node inside real ComfyUI servers: what it answers, what it tells, and what it costs."""

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
CHANGES = 50
RUNS = 12
ROUNDS = 8_000_000
IDLE_S = 4.0


@dataclass
class Servers:
    """`node` has the companion node, `starting` also starts by itself, `bare` has none."""

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


async def ask(server: RealServer, query: str = "", **headers: str) -> tuple[int, str]:
    """(status, body) of the check."""
    url = f"{server.url}/cache/check{query}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def tell(server: RealServer, query: str = "") -> dict[str, Any]:
    """The check's answer in JSON."""
    status, body = await ask(server, query, **JSON)
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer


@dataclass
class Ear:
    """A /ws client that keeps the node's frames, with the time of each on the clock of the machine."""

    socket: aiohttp.ClientWebSocketResponse
    frames: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    async def next(self) -> dict[str, Any]:
        """The node's next frame."""
        async with asyncio.timeout(10):
            while True:
                frame = await self.socket.receive_json()
                if frame["type"] == "comfywarm.cache":
                    self.frames.append((time.monotonic(), frame["data"]))
                    return dict(frame["data"])


@asynccontextmanager
async def listening(server: RealServer, client_id: str) -> AsyncIterator[Ear]:
    """A client that hears nothing of what was before it: the node looks before each answer."""
    await tell(server, "?peek=1")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.url}/ws?clientId={client_id}") as socket,
    ):
        assert (await socket.receive_json())["type"] == "status"
        yield Ear(socket)


async def cached_by_executor(server: RealServer, prompt_id: str) -> list[str]:
    messages = (await server.history())[prompt_id]["status"]["messages"]
    return sorted(next(data["nodes"] for kind, data in messages if kind == "execution_cached"))


def own(key: str, *, drop: bool = False) -> Graph:
    graph: Graph = {
        "10": {"class_type": "RigTorchModel", "inputs": {"name": key}},
        "20": {"class_type": "CacheModel //comfywarm", "inputs": {"key": key, "tag": "t", "data": ["10", 0]}},
    }
    if drop:
        graph["30"] = {"class_type": "DropModel //comfywarm", "inputs": {"key": key, "after": ["20", 0]}}
    return graph


async def test_the_words_and_the_json(servers: Servers) -> None:
    server = servers.node
    assert await ask(server) == (200, "未查询到缓存a,b。")
    assert (await tell(server))["keys"] == {"present": [], "missing": ["a", "b"]}
    running = await server.submit(cache_workflow("a", "b", seconds=1.0))
    loading = await tell(server, "?workflow=cache")
    assert (loading["loading"], loading["auto_started"]) == (True, False)
    assert not (await tell(server, "?key=c"))["loading"]
    await server.idle()
    assert running in await server.history()
    assert await ask(server) == (200, LOADED)
    assert await ask(server, "?key=a&key=c") == (200, "未查询到缓存c。")
    assert (await tell(server, "?key=a&key=c&workflow=cache"))["keys"] == {"present": ["a", "b"], "missing": ["c"]}
    await server.clear_keys()


async def test_the_same_prompt_brings_an_own_key_back_after_it_was_lost(servers: Servers) -> None:
    """Unlike in docs/comfyui.md ("Success without loading"), and the keys survive other prompts."""
    server = servers.node
    await server.submit(own("mine"))
    await server.submit(cache_workflow("other"))
    await server.submit(own("mine"))
    await server.idle()
    assert await ask(server, "?key=mine") == (200, LOADED)
    await server.submit(own("mine", drop=True))
    await server.idle()
    assert await ask(server, "?key=mine") == (200, "未查询到缓存mine。")
    again = await server.submit(own("mine"))
    await server.idle()
    assert await cached_by_executor(server, again) == ["10"]
    assert await ask(server, "?key=mine") == (200, LOADED)
    models = (await tell(server, "?key=mine"))["held"]
    assert models == {"vram": [], "ram": [{"name": "RigModel", "bytes": 256 * 256 * 4}]}
    await server.submit(own("mine", drop=True))
    await server.clear_keys()
    await server.idle()


async def test_every_change_is_told_to_everyone(servers: Servers) -> None:
    server = servers.node
    async with listening(server, "one") as one, listening(server, "two") as two:
        deeds: list[Callable[[], Awaitable[Any]]] = [
            lambda: server.post("/rig/put", {"keys": ["x", "y"]}),
            lambda: server.clear_keys("x"),
            lambda: server.submit(own("mine")),
            lambda: server.post("/free", {"unload_models": True}),
            lambda: server.clear_keys("*"),
            lambda: server.submit(own("mine", drop=True)),
        ]
        told = []
        for deed in deeds:
            await deed()
            told.append(await one.next())
            assert told[-1] == await two.next()
    assert [(data["change"], data["present"]) for data in told] == [
        ("loaded", ["x", "y"]),
        ("evicted", ["y"]),
        ("loaded", ["mine", "y"]),
        ("unloaded", ["mine", "y"]),
        ("evicted", ["mine"]),
        ("cleared", []),
    ]
    first = told[0]["sequence"]
    assert [data["sequence"] for data in told] == list(range(first, first + len(told)))
    assert (await tell(server, "?peek=1"))["sequence"] == told[-1]["sequence"]


async def test_a_change_is_heard_of_at_once(servers: Servers) -> None:
    server, delays = servers.node, []
    async with listening(server, "quick") as ear:
        for index in range(CHANGES):
            await asyncio.sleep(index * 0.007 % 0.02)  # or every change would come right after a look
            at = (await server.post(f"/rig/{'drop' if index % 2 else 'put'}", {"keys": ["k"]}))["at"]
            await ear.next()
            delays.append(ear.frames[-1][0] - at)
    print(f"from a change to its frame, {CHANGES} changes: median {median(delays) * 1000:.1f} ms, "
          f"longest {max(delays) * 1000:.1f} ms")  # fmt: skip
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
async def test_what_cannot_be_asked_gets_a_reason_and_never_a_500(servers: Servers, query: str, status: int) -> None:
    found, body = await ask(servers.node, query)
    assert found == status, body
    assert ("error" in body) == (status == 400)


async def test_a_cache_that_cannot_be_read_counts_as_empty_and_is_read_again(servers: Servers) -> None:
    server = servers.node
    async with listening(server, "spoilt") as ear:
        await server.post("/rig/put", {"keys": ["a", "b"]})
        await ear.next()
        await server.post("/rig/spoil", {})
        assert (await ear.next())["change"] == "cleared"
        assert await ask(server) == (200, "未查询到缓存a,b。")
        await server.post("/rig/spoil", {})
        await server.post("/rig/put", {"keys": ["a", "b"]})
        assert (await ear.next())["present"] == ["a", "b"]
        assert await ask(server) == (200, LOADED)
    assert server.log.read_text("utf-8").count("cannot read this Inspire-Pack's cache") == 1
    await server.clear_keys()


async def test_it_starts_its_workflow_once_and_only_where_told_to(servers: Servers) -> None:
    server = servers.starting
    started = "未查询到缓存a,b，已经自动在后台执行缓存模型工作流。"
    assert await ask(server, "?peek=1&workflow=cache") == (200, "未查询到缓存a,b。")
    async with listening(server, "starter") as ear:
        answers = await asyncio.gather(*(ask(server) for _ in range(5)))
        assert answers == [(200, started)] * 5
        assert (await ear.next())["change"] == "started"
    await server.idle()
    assert await ask(server) == (200, LOADED)
    history = await server.history()
    assert len(history) == 1
    assert all("client_id" not in entry["prompt"][3] for entry in history.values())


async def test_it_does_not_start_again_what_brought_nothing(servers: Servers) -> None:
    """Inspire-Pack's keys are lost, the executor still holds the nodes: the trap. The started prompt brings nothing."""
    server = servers.starting
    await ask(server)
    await server.idle()
    before = len(await server.history())
    await server.clear_keys()
    assert "自动" in (await ask(server))[1]
    await server.idle()
    assert await ask(server) == (200, "未查询到缓存a,b。")
    assert len(await server.history()) == before + 1


async def test_another_start_is_another_instance(servers: Servers) -> None:
    server = servers.starting
    first = await tell(server, "?peek=1")
    await server.kill()
    await server.start()
    second = await tell(server, "?peek=1")
    assert first["instance"] != second["instance"]
    assert second["sequence"] == 0


async def test_it_costs_nothing_that_can_be_measured_in_a_run(servers: Servers) -> None:
    """A node of pure Python, which the looks disturb most, runs by turns with and without the companion."""
    times: dict[str, list[float]] = {"with": [], "without": []}
    for run in range(RUNS):
        both = [("with", servers.node), ("without", servers.bare)]
        for name, server in both if run % 2 else reversed(both):
            times[name].append(await _work(server, run))
    ratio = median(times["with"]) / median(times["without"])
    print(f"a run of {RUNS} by turns: median {median(times['with']):.0f} ms with the node, "
          f"{median(times['without']):.0f} ms without, ratio {ratio:.3f}")  # fmt: skip
    assert ratio < 1.2


async def _work(server: RealServer, seed: int) -> float:
    """Milliseconds from the start to the success of a run, by ComfyUI's own clock."""
    prompt_id = await server.submit({"1": {"class_type": "RigWork", "inputs": {"rounds": ROUNDS, "seed": seed}}})
    await server.idle()
    messages = dict((await server.history())[prompt_id]["status"]["messages"])
    return float(messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"])


async def test_the_watcher_takes_little_of_a_processor(servers: Servers) -> None:
    before = [_on_processor_s(server) for server in (servers.node, servers.bare)]
    await asyncio.sleep(IDLE_S)
    after = [_on_processor_s(server) for server in (servers.node, servers.bare)]
    with_node, without = ((late - early) / IDLE_S for early, late in zip(before, after, strict=True))
    print(f"share of one processor at rest: {with_node:.2%} with the node, {without:.2%} without")
    assert with_node - without < 0.02


def _on_processor_s(server: RealServer) -> float:
    """Seconds of processor time that the main thread, which has the event loop, has had."""
    assert server.process
    schedstat = Path(f"/proc/{server.process.pid}/schedstat")
    return int(schedstat.read_text("ascii").split()[0]) / 1e9
