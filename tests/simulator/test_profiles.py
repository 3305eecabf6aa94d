"""The behaviour of every profile, in virtual time."""

import asyncio
import json
from dataclasses import replace

import pytest

from statemachine.simulator import PROFILES
from statemachine.simulator.http import Request
from statemachine.simulator.nodes import CACHE_KEYS, cache_workflow
from statemachine.simulator.profiles import ALL
from tests.simulator import test_companion_profiles
from tests.simulator.harness import LOADED, MISSING, RecordingSocket, running_server, slow_model

pytestmark = pytest.mark.looptime


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_loaded_reports_every_key_and_caches_every_node() -> None:
    async with running_server("loaded") as harness:
        assert await harness.get("/cache/check") == LOADED
        assert "pulid_model: model\n" in await harness.get("/inspire/cache/list")
        status = await harness.run()
        assert len(status["messages"][1][1]["nodes"]) == len(cache_workflow())


async def test_cold_becomes_loaded_after_its_workflow() -> None:
    async with running_server("cold") as harness:
        assert await harness.get("/cache/check") == f"{MISSING}。"
        assert (await harness.run())["status_str"] == "success"
        assert await harness.get("/cache/check") == LOADED
        assert 16 <= _now() < 17


async def test_auto_executing_starts_its_own_workflow_on_every_check() -> None:
    async with running_server("auto_executing") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        for _ in range(2):
            assert await harness.get("/cache/check") == f"{MISSING}，已经自动在后台执行缓存模型工作流。"
        assert harness.server.own_workflows == 2
        assert harness.server.process.queue.remaining == 2
        await harness.until(lambda: not harness.server.process.queue.remaining)
        assert await harness.get("/cache/check") == LOADED
        assert set(socket.types()) == {"status", "progress_state"}
        assert not harness.server.log


async def test_inspire_has_the_list_but_no_check() -> None:
    async with running_server("inspire") as harness:
        assert await harness.get("/cache/check") == ""
        text = await harness.get("/inspire/cache/list")
        assert text.splitlines()[0] == "---- [String Key Caches] ----"


async def test_slow_delays_responses_and_loading() -> None:
    async with running_server("slow") as harness:
        await harness.get("/queue")
        assert _now() == pytest.approx(1.5)
        await harness.run()
        assert _now() > 40


async def test_busy_has_prompts_for_a_third_of_the_time() -> None:
    async with running_server("busy") as harness:
        busy = 0
        for _ in range(300):
            busy += harness.server.process.queue.remaining > 0
            await asyncio.sleep(1)
        assert 90 < busy < 300


async def test_refusing_names_the_missing_input() -> None:
    async with running_server("refusing") as harness:
        status, reply = await harness.post("/prompt", {"prompt": cache_workflow()})
        assert status == 400
        assert reply["error"]["type"] == "prompt_outputs_failed_validation"
        assert reply["node_errors"]["11"]["errors"][0]["details"] == "backend"


async def test_missing_nodes_refuses_a_workflow_with_the_class() -> None:
    async with running_server("missing_nodes") as harness:
        status, reply = await harness.post("/prompt", {"prompt": cache_workflow()})
        assert (status, reply["error"]["type"]) == (400, "invalid_prompt")
        assert await harness.get("/object_info/PulidFluxModelLoader") == {}
        assert "CheckpointLoaderSimple" in await harness.get("/object_info/CheckpointLoaderSimple")


async def test_missing_models_accepts_the_workflow_without_their_outputs() -> None:
    async with running_server("missing_models") as harness:
        status, reply = await harness.post("/prompt", {"prompt": cache_workflow()})
        assert status == 200
        errors = [each["errors"][0] for each in reply["node_errors"].values()]
        assert {error["type"] for error in errors} == {"value_not_in_list"}
        assert errors[0]["details"] == "pulid_file: 'pulid_flux_v0.9.1.safetensors' not in []"
        await harness.finish(reply["prompt_id"])
        assert harness.server.missing_keys() == ["pulid_model", "ben2_base"]


async def test_out_of_memory_loses_every_key() -> None:
    async with running_server("out_of_memory") as harness:
        harness.server.process.load_everything()
        status = await harness.run(slow_model("big", 1.0))
        kind, data = status["messages"][-1]
        assert (kind, data["exception_type"]) == ("execution_error", "torch.OutOfMemoryError")
        assert data["exception_message"].startswith("Allocation on device")
        assert harness.server.missing_keys() == list(CACHE_KEYS)


async def test_raising_keeps_its_keys() -> None:
    async with running_server("raising") as harness:
        harness.server.process.load_everything()
        status = await harness.run(slow_model("big", 1.0))
        assert status["messages"][-1][1]["exception_type"] == "FileNotFoundError"
        assert not harness.server.missing_keys()


async def test_dying_ends_under_a_prompt_and_is_restarted() -> None:
    async with running_server("dying") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        await harness.submit()
        await harness.until(lambda: not harness.server.up)
        assert socket.closed
        await harness.until(lambda: harness.server.up)
        assert await harness.get("/history") == {}
        assert (await harness.get("/queue"))["queue_running"] == []


async def test_dying_by_itself_ends_after_a_check() -> None:
    async with running_server("dying_by_itself") as harness:
        await harness.get("/cache/check")
        await harness.until(lambda: not harness.server.up)
        await harness.until(lambda: harness.server.up)
        assert harness.server.own_workflows == 1


async def test_restarting_goes_down_and_comes_back_empty() -> None:
    async with running_server("restarting") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        await harness.run()
        await harness.until(lambda: not harness.server.up)
        assert socket.closed
        with pytest.raises(ConnectionRefusedError):
            await harness.get("/queue")
        await harness.until(lambda: harness.server.up)
        assert await harness.get("/history") == {}
        assert (await harness.get("/cache/check")).startswith(MISSING)


async def test_stalling_stops_the_worker_but_still_responds() -> None:
    async with running_server("stalling") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        await harness.submit(client_id="me")
        await asyncio.sleep(3600)
        assert await harness.get("/prompt") == {"exec_info": {"queue_remaining": 1}}
        assert 0 < len(harness.server.keys) < 4
        before = len(socket.frames)
        harness.server.resume()
        await harness.until(lambda: not harness.server.missing_keys())
        assert socket.types()[before:].count("execution_success") == 1


async def test_evicting_loses_its_keys_within_a_minute() -> None:
    async with running_server("evicting") as harness:
        await harness.until(harness.server.missing_keys, 60)
        status = await harness.run()
        assert status["messages"][1][1]["nodes"] == []
        assert not harness.server.missing_keys()


async def test_trapped_succeeds_without_keys_until_the_tag_changes() -> None:
    async with running_server("trapped") as harness:
        await harness.run()
        assert harness.server.missing_keys()
        status = await harness.run()
        assert status["status_str"] == "success"
        assert len(status["messages"][1][1]["nodes"]) == len(cache_workflow())
        assert harness.server.missing_keys()
        retagged = json.loads(json.dumps(cache_workflow()).replace('"tag": "model"', '"tag": "again"'))
        before = _now()
        await harness.run(retagged)
        assert not harness.server.missing_keys()
        assert _now() - before < 1


async def test_trapped_after_free_memory_loads_its_keys() -> None:
    async with running_server("trapped") as harness:
        await harness.run()
        await harness.post("/free", {"unload_models": True, "free_memory": True})
        await harness.run()
        assert not harness.server.missing_keys()


async def test_locked_without_the_token_responds_401_json() -> None:
    async with running_server("locked") as harness:
        response = await harness.server.handle(Request("GET", "/queue"))
        assert (response.status, response.content_type) == (401, "application/json; charset=utf-8")
        bearer = {"Authorization": "Bearer let-me-in"}
        assert (await harness.server.handle(Request("GET", "/queue", headers=bearer))).status == 200
        assert (await harness.server.handle(Request("GET", "/queue", {"token": "let-me-in"}))).status == 200


async def test_absent_refuses_connections() -> None:
    async with running_server("absent") as harness:
        with pytest.raises(ConnectionRefusedError):
            await harness.get("/queue")


async def test_stock_without_plugins_runs_stock_nodes() -> None:
    async with running_server("stock") as harness:
        assert await harness.get("/cache/check") == await harness.get("/inspire/cache/list") == ""
        assert await harness.get("/object_info/CacheBackendData //Inspire") == {}
        image = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
        graph = {
            "1": {"class_type": "EmptyImage", "inputs": image},
            "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        }
        prompt_id = await harness.submit(graph, client_id="me")
        await harness.finish(prompt_id)
        entry = (await harness.get(f"/history/{prompt_id}"))[prompt_id]
        assert entry["outputs"]["2"]["images"][0]["type"] == "temp"


async def test_chatty_sends_one_frame_per_second() -> None:
    async with running_server("chatty") as harness:
        harness.server.connect("me", socket := RecordingSocket())
        await asyncio.sleep(10.5)
        assert socket.types().count("crystools.monitor") == 10


async def test_unrecognisable_responds_to_the_check_with_html() -> None:
    async with running_server("unrecognisable") as harness:
        response = await harness.server.handle(Request("GET", "/cache/check"))
        assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")


def test_profiles_each_have_a_test_and_a_unique_name() -> None:
    names = {*globals(), *vars(test_companion_profiles)}
    tested = {name.removeprefix("test_") for name in names if name.startswith("test_")}
    assert all(any(test.startswith(name) for test in tested) for name in PROFILES)
    assert len(PROFILES) == len(ALL)


async def test_same_seed_repeats_every_frame() -> None:
    async def frames(seed: int) -> list[str]:
        async with running_server(replace(PROFILES["busy"], evict_every=5.0), seed) as harness:
            harness.server.connect("me", socket := RecordingSocket())
            start = _now()
            await asyncio.sleep(120)
            assert _now() - start == pytest.approx(120)
            return [json.dumps(frame) for frame in socket.frames] + list(harness.server.process.queue.history)

    assert await frames(7) == await frames(7)
    assert await frames(7) != await frames(8)
