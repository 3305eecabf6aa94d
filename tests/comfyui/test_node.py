"""The companion node in real ComfyUI servers: its answers and its frames."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.comfyui.companion import Servers, get_check, get_json, listening
from tests.comfyui.rig import Graph, RealServer, cache_workflow

pytestmark = pytest.mark.xdist_group("node")  # they share servers

LOADED = "缓存已加载。"


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


async def unload_models(server: RealServer) -> None:
    """Unload all models. ComfyUI's worker misses a flag while it collects garbage, so the prompt wakes it."""
    await server.post("/free", {"unload_models": True})
    await server.submit({"1": {"class_type": "RigWork", "inputs": {"rounds": 1, "seed": 0}}})


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


async def test_peek_reports_that_the_worker_works(servers: Servers) -> None:
    """The step changes with a node's progress, and the thread's processor time while it computes."""
    server, looks = servers.node, list[Any]()
    await server.submit(cache_workflow("slow", seconds=1.0))
    work = await server.submit({"1": {"class_type": "RigWork", "inputs": {"rounds": 10_000_000, "seed": 1}}})
    while work not in await server.history():
        looks.append((await get_json(server, "?peek=1"))["activity"])
        await asyncio.sleep(0.1)
    steps = {one["step"] for one in looks if one["step"].startswith("10:")}
    assert len(steps) > 2, looks
    assert max(one["cpu_s"] for one in looks) - min(one["cpu_s"] for one in looks) > 0.2
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
            lambda: unload_models(server),
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
