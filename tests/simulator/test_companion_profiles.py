"""The behaviour of the profiles with the companion node, in virtual time."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import MultiDict

from statemachine.simulator import PROFILES
from statemachine.simulator.http import Request
from statemachine.simulator.nodes import CACHE_KEYS, cache_workflow
from statemachine.simulator.profiles import RAISES
from tests.simulator.harness import LOADED, MISSING, RecordingSocket, ServerHarness, running_server

pytestmark = pytest.mark.looptime

JSON = {"Accept": "application/json"}


async def _check_by_node(harness: ServerHarness, *keys: str) -> Any:
    query = MultiDict([("key", key) for key in keys])
    return json.loads((await harness.server.handle(Request("GET", "/cache/check", query, headers=JSON))).body)


async def test_node_sends_each_change_and_responds_in_json() -> None:
    async with running_server("node") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        assert await harness.get("/cache/check") == f"{MISSING}。"
        before = await _check_by_node(harness, "pulid_model", "other")
        assert before["keys"] == {"present": [], "missing": ["pulid_model", "other"]}
        await harness.run()
        await harness.post("/free", {"unload_models": True})
        await asyncio.sleep(1)
        harness.server.drop_keys(keep_executor=True)
        sent = [frame["data"] for frame in socket.frames if frame["type"] == "comfywarm.cache"]
        assert [data["change"] for data in sent] == ["loaded"] * 4 + ["unloaded", "cleared"]
        assert [data["sequence"] for data in sent] == [1, 2, 3, 4, 5, 6]
        assert len(sent[4]["present"]) == 4
        assert {data["instance"] for data in sent} == {before["instance"]}


def with_load_nodes(level: str) -> dict[str, Any]:
    """Return the cache workflow with comfywarm's node that loads models between each loader and its cache node."""
    graph = cache_workflow()
    for number in range(1, 5):
        graph[f"load-{number}"] = {
            "class_type": "LoadModel //comfywarm",
            "inputs": {"data": [f"{number}", 0], "warm": level},
        }
        graph[f"{number + 10}"]["inputs"]["data"] = [f"load-{number}", 0]
    return graph


async def levels_of(harness: ServerHarness) -> set[str]:
    levels = (await _check_by_node(harness, *CACHE_KEYS))["levels"]
    assert set(levels) == set(CACHE_KEYS)
    return {place["level"] for place in levels.values()}


async def test_unloading_moves_models_out_of_memory_and_keeps_keys() -> None:
    async with running_server("unloading") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        assert await levels_of(harness) == {"ram"}
        await harness.until(lambda: any(frame["type"] == "comfywarm.cache" for frame in socket.frames))
        frame = socket.last("comfywarm.cache")
        assert (frame["change"], len(frame["present"])) == ("unloaded", 4)
        assert frame["levels"]["ben2_base"] == {"level": "key", "highest": "vram"}
        assert await levels_of(harness) == {"key"}
        assert await harness.get("/cache/check") == LOADED


async def test_unloading_to_ram_leaves_models_that_are_lower() -> None:
    async with running_server(replace(PROFILES["node"], loaded=True)) as harness:
        harness.server.unload_models("key")
        harness.server.unload_models("ram")
        assert await levels_of(harness) == {"key"}
        harness.server.reload_models()
        harness.server.unload_models("ram")
        assert await levels_of(harness) == {"ram"}


@pytest.mark.parametrize(("small", "expected"), [(False, "vram"), (True, "ram")])
async def test_node_loads_models_by_prompt_with_load_nodes(small: bool, expected: str) -> None:
    async with running_server(replace(PROFILES["node"], loaded=True, small_memory=small)) as harness:
        harness.server.unload_models()
        await harness.run()
        assert await levels_of(harness) == {"key"}
        status = await harness.run(with_load_nodes("vram"))
        assert await levels_of(harness) == {expected}
        cached = next(data["nodes"] for kind, data in status["messages"] if kind == "execution_cached")
        assert sorted(cached) == ["1", "2", "3", "4"]


async def test_node_after_a_restart_has_another_instance() -> None:
    async with running_server("node") as harness:
        first = await _check_by_node(harness, "a")
        harness.server.drop_keys(keep_executor=True)
        await harness.server.restart()
        second = await _check_by_node(harness, "a")
        assert first["instance"] != second["instance"]
        assert second["sequence"] == 0


async def test_node_starting_after_a_failed_start_does_not_start_again() -> None:
    failing = replace(PROFILES["node_starting"], failure=RAISES)
    async with running_server(failing) as harness:
        harness.server.connect("me", socket := RecordingSocket())
        started = f"{MISSING}，已经自动在后台执行缓存模型工作流。"
        assert await harness.get("/cache/check", peek="1", workflow="cache") == f"{MISSING}。"
        assert [await harness.get("/cache/check") for _ in range(3)] == [started] * 3
        assert harness.server.own_workflows == 1
        assert socket.last("comfywarm.cache")["change"] == "started"
        await harness.until(lambda: not harness.server.process.queue.remaining)
        assert await harness.get("/cache/check") == f"{MISSING}。"
        assert harness.server.own_workflows == 1


async def test_node_starting_loads_its_own_models() -> None:
    async with running_server("node_starting") as harness:
        assert (await _check_by_node(harness, "pulid_model"))["auto_started"]
        await harness.until(lambda: not harness.server.process.queue.remaining)
        assert await harness.get("/cache/check") == LOADED
