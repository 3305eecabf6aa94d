"""What the recorded scenarios do not reach: restarts, order in the queue, the cache, validation."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from statemachine.simulator import PERSONAS
from statemachine.simulator.nodes import CACHE_NODE, cache_workflow, catalogue
from statemachine.simulator.prompt_queue import MAXIMUM_HISTORY_SIZE, Item, PromptQueue
from statemachine.simulator.validation import validate_prompt
from tests.simulator.rig import Ear, Rig, rigged, slow_model

pytestmark = pytest.mark.looptime


async def _order_of(rig: Rig, *ids: str) -> list[str]:
    for prompt_id in ids:
        await rig.finish(prompt_id)
    return [prompt_id for prompt_id in rig.server.process.queue.history if prompt_id in ids]


async def test_a_restart_loses_queue_history_number_keys_and_sockets() -> None:
    async with rigged() as rig:
        await rig.run(slow_model("a", 1))
        await rig.submit(slow_model("b", 1))
        rig.server.connect("me", ear := Ear())
        await rig.server.restart()
        assert ear.closed
        assert not rig.server.sockets
        assert not rig.server.keys
        assert await rig.get("/history") == {}
        assert await rig.get("/queue") == {"queue_running": [], "queue_pending": []}
        _, reply = await rig.post("/prompt", {"prompt": slow_model("a", 1)})
        assert reply["number"] == 0
        assert (await rig.finish(reply["prompt_id"]))["messages"][1][1]["nodes"] == []


async def test_the_log_of_submissions_outlives_a_restart() -> None:
    async with rigged() as rig:
        await rig.submit(prompt_id="mine")
        await rig.post("/prompt", {})
        await rig.server.restart()
        assert [(each.prompt_id, each.status) for each in rig.server.log] == [("mine", 200), (None, 400)]


async def test_front_overtakes_what_is_pending() -> None:
    async with rigged() as rig:
        first = await rig.submit(slow_model("a", 1))
        await asyncio.sleep(0.1)
        second = await rig.submit(slow_model("b", 1))
        status, reply = await rig.post("/prompt", {"prompt": slow_model("c", 1), "front": True})
        assert (status, reply["number"]) == (200, -2)
        assert await _order_of(rig, first, second, reply["prompt_id"]) == [first, reply["prompt_id"], second]


async def test_a_pending_prompt_is_deleted_and_the_running_one_is_not() -> None:
    async with rigged() as rig:
        running = await rig.submit(slow_model("a", 5))
        await asyncio.sleep(0.1)
        doomed, other = await rig.submit(slow_model("b", 1)), await rig.submit(slow_model("c", 1))
        await rig.post("/queue", {"delete": [doomed, running, "no such id"]})
        assert await _order_of(rig, running, other) == [running, other]
        assert await rig.get(f"/history/{doomed}") == {}


async def test_clear_empties_the_queue_but_for_what_runs() -> None:
    async with rigged() as rig:
        await rig.submit(slow_model("a", 5))
        await asyncio.sleep(0.1)
        await rig.submit(slow_model("b", 1))
        await rig.post("/queue", {"clear": True})
        assert await rig.get("/prompt") == {"exec_info": {"queue_remaining": 1}}


async def test_an_interrupt_for_another_prompt_is_ignored() -> None:
    async with rigged() as rig:
        prompt_id = await rig.submit(slow_model("a", 2))
        await asyncio.sleep(0.1)
        await rig.post("/interrupt", {"prompt_id": "another"})
        assert (await rig.finish(prompt_id))["status_str"] == "success"


async def test_an_interrupt_without_an_id_stops_whatever_runs_and_everyone_hears_of_unowned_work() -> None:
    async with rigged() as rig:
        rig.server.connect("me", ear := Ear())
        prompt_id = await rig.submit(slow_model("a", 2))
        await asyncio.sleep(0.1)
        await rig.post("/interrupt", {})
        status = await rig.finish(prompt_id)
        assert status["messages"][-1][0] == "execution_interrupted"
        assert ear.last("execution_interrupted")["prompt_id"] == prompt_id


async def test_everything_cached_succeeds_without_bringing_the_keys_back() -> None:
    async with rigged() as rig:
        await rig.run(slow_model("a", 1))
        rig.server.drop_keys(keep_executor=True)
        status = await rig.run(slow_model("a", 1))
        assert status["messages"][1][1]["nodes"] == ["10", "20"]
        assert not rig.server.keys
        retagged = await rig.run(slow_model("a", 1, tag="again"))
        assert retagged["messages"][1][1]["nodes"] == ["10"]
        assert rig.server.keys == {"a": "again"}


async def test_another_prompt_pushes_the_nodes_out_of_the_cache() -> None:
    async with rigged() as rig:
        await rig.run(slow_model("a", 1))
        await rig.finish(rig.server.start_foreign_job(1))
        assert (await rig.run(slow_model("a", 1)))["messages"][1][1]["nodes"] == []


async def test_stall_and_resume() -> None:
    async with rigged() as rig:
        prompt_id = await rig.submit(slow_model("a", 1))
        rig.server.stall()
        await asyncio.sleep(100)
        assert await rig.get(f"/history/{prompt_id}") == {}
        rig.server.resume()
        assert (await rig.finish(prompt_id))["status_str"] == "success"


async def test_a_socket_that_reconnects_under_the_running_client_id_hears_where_it_is() -> None:
    async with rigged() as rig:
        await rig.submit(slow_model("a", 5), client_id="me")
        await asyncio.sleep(1)
        rig.server.connect("me", ear := Ear())
        assert ear.types() == ["status", "executing"]
        assert ear.last("executing") == {"node": "10"}


async def test_success_is_told_before_history_has_it() -> None:
    async with rigged(replace(PERSONAS["cold"], history_lag=1.0)) as rig:
        rig.server.connect("me", ear := Ear())
        prompt_id = await rig.submit(slow_model("a", 1), client_id="me")
        await rig.until(lambda: "execution_success" in ear.types())
        assert await rig.get(f"/history/{prompt_id}") == {}
        await rig.finish(prompt_id)
        assert ear.types()[-2:] == ["status", "executing"]


async def test_every_route_answers_under_api_too() -> None:
    async with rigged("loaded") as rig:
        for path in ("/queue", "/prompt", "/history", "/system_stats", "/features", "/object_info/PreviewImage"):
            assert await rig.get(f"/api{path}") == await rig.get(path)
        assert await rig.get("/no/such/route") == ""
        assert await rig.get("/api/cache/check") == "缓存已加载。"


async def test_clearing_the_inspire_cache_leaves_the_executor_alone() -> None:
    async with rigged("loaded") as rig:
        await rig.get("/inspire/cache/clear")
        assert not rig.server.keys
        await rig.run()
        assert not rig.server.keys


async def test_the_rig_raises_when_asked() -> None:
    async with rigged() as rig:
        kind, data = (await rig.run(slow_model("raise", 1)))["messages"][-1]
        assert (kind, data["exception_type"]) == ("execution_error", "ValueError")
        assert data["exception_message"] == "rig: asked to raise\n"


def test_history_is_bounded() -> None:
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
def test_a_bad_graph_is_refused_with_its_reason(graph: Any, kind: str, details: str) -> None:
    verdict = validate_prompt(graph, catalogue())
    assert verdict.error
    assert verdict.error["type"] == "prompt_outputs_failed_validation"
    errors = [error for node in verdict.node_errors.values() for error in node["errors"]]
    assert errors[0]["type"] == kind
    assert errors[0]["details"].startswith(details)


def test_a_cycle_is_refused_without_details() -> None:
    """So does ComfyUI 0.3.75: the recursion error is nobody's node's."""
    verdict = validate_prompt(_cached(data=["20", 0]), catalogue())
    assert verdict.error
    assert verdict.error["details"] == ""
    assert not verdict.node_errors


def test_the_missions_own_workflow_is_valid() -> None:
    verdict = validate_prompt(cache_workflow(), catalogue())
    assert verdict.error is None
    assert len(verdict.outputs) == 4
    assert not verdict.node_errors
