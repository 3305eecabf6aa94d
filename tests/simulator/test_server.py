"""Restarts, queue order, cache and validation, which the recorded scenarios do not cover."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from statemachine.simulator import PROFILES
from statemachine.simulator.dialects import Dialect
from statemachine.simulator.nodes import CACHE_NODE, cache_workflow, catalogue
from statemachine.simulator.prompt_queue import MAXIMUM_HISTORY_SIZE, Item, PromptQueue
from statemachine.simulator.validation import validate_prompt
from tests.simulator.harness import RecordingSocket, ServerHarness, running_server, slow_model

pytestmark = pytest.mark.looptime


async def _order_of(harness: ServerHarness, *ids: str) -> list[str]:
    for prompt_id in ids:
        await harness.finish(prompt_id)
    return [prompt_id for prompt_id in harness.server.process.queue.history if prompt_id in ids]


async def test_restart_loses_queue_history_number_keys_and_sockets() -> None:
    async with running_server() as harness:
        await harness.run(slow_model("a", 1))
        await harness.submit(slow_model("b", 1))
        harness.server.connect("me", socket := RecordingSocket())
        await harness.server.restart()
        assert socket.closed
        assert not harness.server.sockets
        assert not harness.server.keys
        assert await harness.get("/history") == {}
        assert await harness.get("/queue") == {"queue_running": [], "queue_pending": []}
        _, reply = await harness.post("/prompt", {"prompt": slow_model("a", 1)})
        assert reply["number"] == 0
        assert (await harness.finish(reply["prompt_id"]))["messages"][1][1]["nodes"] == []


async def test_log_of_submissions_survives_a_restart() -> None:
    async with running_server() as harness:
        await harness.submit(prompt_id="mine")
        await harness.post("/prompt", {})
        await harness.server.restart()
        assert [(each.prompt_id, each.status) for each in harness.server.log] == [("mine", 200), (None, 400)]


async def test_prompt_in_front_runs_before_pending_prompts() -> None:
    async with running_server() as harness:
        first = await harness.submit(slow_model("a", 1))
        await asyncio.sleep(0.1)
        second = await harness.submit(slow_model("b", 1))
        status, reply = await harness.post("/prompt", {"prompt": slow_model("c", 1), "front": True})
        assert (status, reply["number"]) == (200, -2)
        assert await _order_of(harness, first, second, reply["prompt_id"]) == [first, reply["prompt_id"], second]


async def test_delete_removes_pending_but_not_running_prompts() -> None:
    async with running_server() as harness:
        running = await harness.submit(slow_model("a", 5))
        await asyncio.sleep(0.1)
        deleted, other = await harness.submit(slow_model("b", 1)), await harness.submit(slow_model("c", 1))
        await harness.post("/queue", {"delete": [deleted, running, "no such id"]})
        assert await _order_of(harness, running, other) == [running, other]
        assert await harness.get(f"/history/{deleted}") == {}


async def test_clear_removes_all_but_the_running_prompt() -> None:
    async with running_server() as harness:
        await harness.submit(slow_model("a", 5))
        await asyncio.sleep(0.1)
        await harness.submit(slow_model("b", 1))
        await harness.post("/queue", {"clear": True})
        assert await harness.get("/prompt") == {"exec_info": {"queue_remaining": 1}}


async def test_interrupt_of_another_prompt_is_ignored() -> None:
    async with running_server() as harness:
        prompt_id = await harness.submit(slow_model("a", 2))
        await asyncio.sleep(0.1)
        await harness.post("/interrupt", {"prompt_id": "another"})
        assert (await harness.finish(prompt_id))["status_str"] == "success"


async def test_interrupt_without_an_id_stops_the_prompt_and_notifies_all() -> None:
    async with running_server() as harness:
        harness.server.connect("me", socket := RecordingSocket())
        prompt_id = await harness.submit(slow_model("a", 2))
        await asyncio.sleep(0.1)
        await harness.post("/interrupt", {})
        status = await harness.finish(prompt_id)
        assert status["messages"][-1][0] == "execution_interrupted"
        assert socket.last("execution_interrupted")["prompt_id"] == prompt_id


async def test_cached_prompt_succeeds_without_restoring_its_keys() -> None:
    async with running_server() as harness:
        await harness.run(slow_model("a", 1))
        harness.server.drop_keys(keep_executor=True)
        status = await harness.run(slow_model("a", 1))
        assert status["messages"][1][1]["nodes"] == ["10", "20"]
        assert not harness.server.keys
        retagged = await harness.run(slow_model("a", 1, tag="again"))
        assert retagged["messages"][1][1]["nodes"] == ["10"]
        assert harness.server.keys == {"a": "again"}


async def test_cache_keeps_only_the_nodes_of_the_last_prompt() -> None:
    async with running_server() as harness:
        await harness.run(slow_model("a", 1))
        await harness.finish(harness.server.start_foreign_job(1))
        assert (await harness.run(slow_model("a", 1)))["messages"][1][1]["nodes"] == []


async def test_stall_holds_the_prompt_until_resume() -> None:
    async with running_server() as harness:
        prompt_id = await harness.submit(slow_model("a", 1))
        harness.server.stall()
        await asyncio.sleep(100)
        assert await harness.get(f"/history/{prompt_id}") == {}
        harness.server.resume()
        assert (await harness.finish(prompt_id))["status_str"] == "success"


async def test_reconnected_socket_receives_the_running_node() -> None:
    async with running_server() as harness:
        await harness.submit(slow_model("a", 5), client_id="me")
        await asyncio.sleep(1)
        harness.server.connect("me", socket := RecordingSocket())
        assert socket.types() == ["status", "executing"]
        assert socket.last("executing") == {"node": "10"}


async def test_success_frame_precedes_the_history_entry() -> None:
    async with running_server(replace(PROFILES["cold"], history_lag=1.0)) as harness:
        harness.server.connect("me", socket := RecordingSocket())
        prompt_id = await harness.submit(slow_model("a", 1), client_id="me")
        await harness.until(lambda: "execution_success" in socket.types())
        assert await harness.get(f"/history/{prompt_id}") == {}
        await harness.finish(prompt_id)
        assert socket.types()[-2:] == ["status", "executing"]


async def test_routes_under_api_respond_the_same() -> None:
    async with running_server("loaded") as harness:
        for path in ("/queue", "/prompt", "/history", "/system_stats", "/features", "/object_info/PreviewImage"):
            assert await harness.get(f"/api{path}") == await harness.get(path)
        assert await harness.get("/no/such/route") == ""
        assert await harness.get("/api/cache/check") == "缓存已加载。"


async def test_inspire_clear_keeps_the_executor_cache() -> None:
    async with running_server("loaded") as harness:
        await harness.get("/inspire/cache/clear")
        assert not harness.server.keys
        await harness.run()
        assert not harness.server.keys


async def test_rig_model_named_raise_raises_its_error() -> None:
    async with running_server() as harness:
        kind, data = (await harness.run(slow_model("raise", 1)))["messages"][-1]
        assert (kind, data["exception_type"]) == ("execution_error", "ValueError")
        assert data["exception_message"] == "rig: asked to raise\n"


def test_history_beyond_its_limit_drops_the_oldest() -> None:
    queue = PromptQueue(lambda: None)
    for number in range(MAXIMUM_HISTORY_SIZE + 10):
        queue.put(Item(number, str(number), {}, {}, []))
        item = queue.take()
        assert item
        queue.done(item, {})
    assert len(queue.history) == MAXIMUM_HISTORY_SIZE + 1
    assert list(queue.newest(2)) == ["10008", "10009"]


def _cached(**inputs: Any) -> dict[str, Any]:
    return {"20": {"class_type": CACHE_NODE, "inputs": {"key": "k", "tag": "t", **inputs}}}


CHECKPOINT = "CheckpointLoaderSimple"


@pytest.mark.parametrize(
    ("graph", "kind", "details"),
    [
        (
            {"1": {"class_type": CHECKPOINT, "inputs": {"ckpt_name": "x"}}, **_cached(data=["1", 0])},
            "value_not_in_list",
            "ckpt_name: 'x' not in ['sd_xl_base_1.0.safetensors', 'flux1-dev-fp8.safetensors']",
        ),
        (
            {"1": {"class_type": "RigSlowModel", "inputs": {"name": "a", "seconds": "long"}}, **_cached(data=["1", 0])},
            "invalid_input_type",
            "seconds, long, could not convert string to float: 'long'",
        ),
        (
            {"1": {"class_type": "RigSlowModel", "inputs": {"name": "a", "seconds": -1}}, **_cached(data=["1", 0])},
            "value_smaller_than_min",
            "seconds",
        ),
        (_cached(data=["1"]), "bad_linked_input", "data"),
        (_cached(data=["9", 0]), "exception_during_validation", "'9'"),
        (
            {
                "1": {"class_type": "PulidFluxEvaClipLoader", "inputs": {}},
                "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
            },
            "return_type_mismatch",
            "images, received_type(EVA_CLIP) mismatch input_type(IMAGE)",
        ),
    ],
)
def test_validate_prompt_with_a_bad_graph_reports_the_error(graph: Any, kind: str, details: str) -> None:
    result = validate_prompt(graph, catalogue(), Dialect())
    assert result.error
    assert result.error["type"] == "prompt_outputs_failed_validation"
    errors = [error for node in result.node_errors.values() for error in node["errors"]]
    assert errors[0]["type"] == kind
    assert errors[0]["details"].startswith(details)


def test_validate_prompt_with_a_cycle_reports_no_details() -> None:
    """As in ComfyUI 0.3.75: the recursion error belongs to no node."""
    result = validate_prompt(_cached(data=["20", 0]), catalogue(), Dialect())
    assert result.error
    assert result.error["details"] == ""
    assert not result.node_errors


def test_validate_prompt_with_the_cache_workflow_reports_no_error() -> None:
    result = validate_prompt(cache_workflow(), catalogue(), Dialect())
    assert result.error is None
    assert len(result.outputs) == 4
    assert not result.node_errors
