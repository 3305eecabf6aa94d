"""The behaviour of the profiles with the companion node, in virtual time."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import MultiDict

from statemachine.simulator import PROFILES
from statemachine.simulator.http import Request
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
