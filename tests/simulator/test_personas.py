"""Every persona does what its name promises, in virtual time."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import MultiDict

from statemachine.simulator import PERSONAS
from statemachine.simulator.nodes import MISSION_KEYS, cache_workflow
from statemachine.simulator.profiles import ALL, RAISES
from tests.simulator.rig import Ear, Rig, rigged, slow_model

pytestmark = pytest.mark.looptime
LOADED = "缓存已加载。"
MISSING = "未查询到缓存pulid_eva_clip,pulid_face_analysis,pulid_model,ben2_base"


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_loaded_says_so_and_runs_nothing_again() -> None:
    async with rigged("loaded") as rig:
        assert await rig.get("/cache/check") == LOADED
        assert "pulid_model: model\n" in await rig.get("/inspire/cache/list")
        status = await rig.run()
        assert len(status["messages"][1][1]["nodes"]) == len(cache_workflow())


async def test_cold_becomes_loaded_by_its_workflow_and_takes_its_time() -> None:
    async with rigged("cold") as rig:
        assert await rig.get("/cache/check") == f"{MISSING}。"
        assert (await rig.run())["status_str"] == "success"
        assert await rig.get("/cache/check") == LOADED
        assert 16 <= _now() < 17


async def test_auto_executing_starts_its_own_workflow_on_every_check_unheard() -> None:
    async with rigged("auto_executing") as rig:
        rig.server.connect("me", ear := Ear())
        for _ in range(2):
            assert await rig.get("/cache/check") == f"{MISSING}，已经自动在后台执行缓存模型工作流。"
        assert rig.server.own_workflows == 2
        assert rig.server.process.queue.remaining == 2
        await rig.until(lambda: not rig.server.process.queue.remaining)
        assert await rig.get("/cache/check") == LOADED
        assert set(ear.types()) == {"status", "progress_state"}
        assert not rig.server.log


async def test_inspire_offers_the_list_only() -> None:
    async with rigged("inspire") as rig:
        assert await rig.get("/cache/check") == ""
        text = await rig.get("/inspire/cache/list")
        assert text.splitlines()[0] == "---- [String Key Caches] ----"


async def test_slow_answers_late() -> None:
    async with rigged("slow") as rig:
        await rig.get("/queue")
        assert _now() == pytest.approx(1.5)
        await rig.run()
        assert _now() > 40


async def test_busy_is_busy_a_good_part_of_the_time() -> None:
    async with rigged("busy") as rig:
        busy = 0
        for _ in range(300):
            busy += rig.server.process.queue.remaining > 0
            await asyncio.sleep(1)
        assert 90 < busy < 300


async def test_refusing_names_the_input_that_is_missing() -> None:
    async with rigged("refusing") as rig:
        status, reply = await rig.post("/prompt", {"prompt": cache_workflow()})
        assert status == 400
        assert reply["error"]["type"] == "prompt_outputs_failed_validation"
        assert reply["node_errors"]["11"]["errors"][0]["details"] == "backend"


async def test_missing_nodes_refuses_the_class() -> None:
    async with rigged("missing_nodes") as rig:
        status, reply = await rig.post("/prompt", {"prompt": cache_workflow()})
        assert (status, reply["error"]["type"]) == (400, "invalid_prompt")
        assert await rig.get("/object_info/PulidFluxModelLoader") == {}
        assert "CheckpointLoaderSimple" in await rig.get("/object_info/CheckpointLoaderSimple")


async def test_missing_models_drops_the_outputs_that_need_them_and_still_accepts() -> None:
    async with rigged("missing_models") as rig:
        status, reply = await rig.post("/prompt", {"prompt": cache_workflow()})
        assert status == 200
        errors = [each["errors"][0] for each in reply["node_errors"].values()]
        assert {error["type"] for error in errors} == {"value_not_in_list"}
        assert errors[0]["details"] == "pulid_file: 'pulid_flux_v0.9.1.safetensors' not in []"
        await rig.finish(reply["prompt_id"])
        assert rig.server.missing_keys() == ["pulid_model", "ben2_base"]


async def test_out_of_memory_loses_every_key() -> None:
    async with rigged("out_of_memory") as rig:
        rig.server.process.load_everything()
        status = await rig.run(slow_model("big", 1.0))
        kind, data = status["messages"][-1]
        assert (kind, data["exception_type"]) == ("execution_error", "torch.OutOfMemoryError")
        assert data["exception_message"].startswith("Allocation on device")
        assert rig.server.missing_keys() == list(MISSION_KEYS)


async def test_raising_keeps_the_keys_it_has() -> None:
    async with rigged("raising") as rig:
        rig.server.process.load_everything()
        status = await rig.run(slow_model("big", 1.0))
        assert status["messages"][-1][1]["exception_type"] == "FileNotFoundError"
        assert not rig.server.missing_keys()


async def test_restarting_goes_away_and_comes_back_empty() -> None:
    async with rigged("restarting") as rig:
        rig.server.connect("me", ear := Ear())
        await rig.run()
        await rig.until(lambda: not rig.server.up)
        assert ear.closed
        with pytest.raises(ConnectionRefusedError):
            await rig.get("/queue")
        await rig.until(lambda: rig.server.up)
        assert await rig.get("/history") == {}
        assert (await rig.get("/cache/check")).startswith(MISSING)


async def test_stalling_stops_in_the_middle_and_still_answers() -> None:
    async with rigged("stalling") as rig:
        rig.server.connect("me", ear := Ear())
        await rig.submit(client_id="me")
        await asyncio.sleep(3600)
        assert await rig.get("/prompt") == {"exec_info": {"queue_remaining": 1}}
        assert 0 < len(rig.server.keys) < 4
        heard = len(ear.frames)
        rig.server.resume()
        await rig.until(lambda: not rig.server.missing_keys())
        assert ear.types()[heard:].count("execution_success") == 1


async def test_evicting_loses_its_keys_now_and_then() -> None:
    async with rigged("evicting") as rig:
        await rig.until(rig.server.missing_keys, 60)
        status = await rig.run()
        assert status["messages"][1][1]["nodes"] == []
        assert not rig.server.missing_keys()


async def test_trapped_succeeds_without_loading_until_the_tag_changes() -> None:
    async with rigged("trapped") as rig:
        await rig.run()
        assert rig.server.missing_keys()
        status = await rig.run()
        assert status["status_str"] == "success"
        assert len(status["messages"][1][1]["nodes"]) == len(cache_workflow())
        assert rig.server.missing_keys()
        retagged = json.loads(json.dumps(cache_workflow()).replace('"tag": "model"', '"tag": "again"'))
        before = _now()
        await rig.run(retagged)
        assert not rig.server.missing_keys()
        assert _now() - before < 1


async def test_trapped_is_freed_by_free_memory_too() -> None:
    async with rigged("trapped") as rig:
        await rig.run()
        await rig.post("/free", {"unload_models": True, "free_memory": True})
        await rig.run()
        assert not rig.server.missing_keys()


async def test_locked_answers_401_json_without_the_token() -> None:
    async with rigged("locked") as rig:
        answer = await rig.server.handle("GET", "/queue")
        assert (answer.status, answer.content_type) == (401, "application/json; charset=utf-8")
        bearer = {"Authorization": "Bearer let-me-in"}
        assert (await rig.server.handle("GET", "/queue", headers=bearer)).status == 200
        assert (await rig.server.handle("GET", "/queue", {"token": "let-me-in"})).status == 200


async def test_absent_refuses_connections() -> None:
    async with rigged("absent") as rig:
        with pytest.raises(ConnectionRefusedError):
            await rig.get("/queue")


async def test_stock_has_no_plugin_and_still_runs_stock_nodes() -> None:
    async with rigged("stock") as rig:
        assert await rig.get("/cache/check") == await rig.get("/inspire/cache/list") == ""
        assert await rig.get("/object_info/CacheBackendData //Inspire") == {}
        image = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
        graph = {
            "1": {"class_type": "EmptyImage", "inputs": image},
            "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        }
        prompt_id = await rig.submit(graph, client_id="me")
        await rig.finish(prompt_id)
        entry = (await rig.get(f"/history/{prompt_id}"))[prompt_id]
        assert entry["outputs"]["2"]["images"][0]["type"] == "temp"


async def test_chatty_chatters_once_a_second() -> None:
    async with rigged("chatty") as rig:
        rig.server.connect("me", ear := Ear())
        await asyncio.sleep(10.5)
        assert ear.types().count("crystools.monitor") == 10


async def test_unrecognisable_answers_the_check_with_a_page() -> None:
    async with rigged("unrecognisable") as rig:
        answer = await rig.server.handle("GET", "/cache/check")
        assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")


JSON = {"Accept": "application/json"}


async def _node_says(rig: Rig, *keys: str) -> Any:
    query = MultiDict([("key", key) for key in keys])
    return json.loads((await rig.server.handle("GET", "/cache/check", query, headers=JSON)).body)


async def test_node_tells_each_change_to_everyone_and_answers_in_json() -> None:
    async with rigged("node") as rig:
        rig.server.connect("me", ear := Ear())
        assert await rig.get("/cache/check") == f"{MISSING}。"
        before = await _node_says(rig, "pulid_model", "other")
        assert before["keys"] == {"present": [], "missing": ["pulid_model", "other"]}
        await rig.run()
        await rig.post("/free", {"unload_models": True})
        await asyncio.sleep(1)
        rig.server.drop_keys(keep_executor=True)
        told = [frame["data"] for frame in ear.frames if frame["type"] == "comfywarm.cache"]
        assert [data["change"] for data in told] == ["loaded"] * 4 + ["unloaded", "cleared"]
        assert [data["sequence"] for data in told] == [1, 2, 3, 4, 5, 6]
        assert len(told[4]["present"]) == 4
        assert {data["instance"] for data in told} == {before["instance"]}


async def test_node_has_another_instance_after_a_restart() -> None:
    async with rigged("node") as rig:
        first = await _node_says(rig, "a")
        rig.server.drop_keys(keep_executor=True)
        await rig.server.restart()
        second = await _node_says(rig, "a")
        assert first["instance"] != second["instance"]
        assert second["sequence"] == 0


async def test_node_starting_starts_once_and_not_again_after_a_failure() -> None:
    failing = replace(PERSONAS["node_starting"], failure=RAISES)
    async with rigged(failing) as rig:
        rig.server.connect("me", ear := Ear())
        started = f"{MISSING}，已经自动在后台执行缓存模型工作流。"
        assert await rig.get("/cache/check", peek="1", workflow="cache") == f"{MISSING}。"
        assert [await rig.get("/cache/check") for _ in range(3)] == [started] * 3
        assert rig.server.own_workflows == 1
        assert ear.last("comfywarm.cache")["change"] == "started"
        await rig.until(lambda: not rig.server.process.queue.remaining)
        assert await rig.get("/cache/check") == f"{MISSING}。"
        assert rig.server.own_workflows == 1


async def test_node_starting_warms_itself() -> None:
    async with rigged("node_starting") as rig:
        assert (await _node_says(rig, "pulid_model"))["auto_started"]
        await rig.until(lambda: not rig.server.process.queue.remaining)
        assert await rig.get("/cache/check") == LOADED


def test_every_persona_is_tested_here_and_names_are_unique() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert all(any(test.startswith(name) for test in tested) for name in PERSONAS)
    assert len(PERSONAS) == len(ALL)


async def test_the_same_seed_gives_the_same_life() -> None:
    async def life(seed: int) -> list[str]:
        async with rigged(replace(PERSONAS["busy"], evict_every=5.0), seed) as rig:
            rig.server.connect("me", ear := Ear())
            start = _now()
            await asyncio.sleep(120)
            assert _now() - start == pytest.approx(120)
            return [json.dumps(frame) for frame in ear.frames] + list(rig.server.process.queue.history)

    assert await life(7) == await life(7)
    assert await life(7) != await life(8)
