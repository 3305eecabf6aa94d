"""The service end to end on real ComfyUI servers. What a server did is judged by its own history."""

from pathlib import Path

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import ours, watched
from tests.comfyui.rig import Manner, Rig, cache_workflow

LOADED = State.LOADED.value


async def test_cold_self_starting_and_loaded(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=1.0)
    cold = rig.server(workflow=flow)
    itself = rig.server(manner=Manner.STARTS, workflow=flow)
    loaded = rig.server(workflow=flow, preload=["a", "b"])
    await rig.start_all()
    async with watched(tmp_path, rig.servers, {"flow": flow}) as watcher:
        for server in rig.servers:
            await watcher.until(server, LOADED)
        detail = await watcher.server(cold)
        assert [(one["outcome"], one["confirmed_by"]) for one in detail["attempts"]] == [("succeeded", "ws")]
        assert ours(await cold.history()) == [detail["attempts"][0]["prompt_id"]]
        assert len(await cold.history()) == 1
        assert ("auto_executing", Reason.SERVER_AUTO_EXECUTING) in await watcher.path_of(itself)
        assert ours(await itself.history()) == []
        assert await itself.history(), "the server's own workflow must have run"
        assert await loaded.history() == {}
        assert (await watcher.get("/api/status"))["states"] == {LOADED: 3}


async def test_killed_while_warming_and_started_again(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=4.0)
    server = rig.server(workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        await watcher.until_true(server, lambda detail: (detail["progress"] or 0) > 0.1)
        await server.kill()
        await watcher.until(server, State.UNREACHABLE.value)
        await server.start()
        detail = await watcher.until(server, LOADED)
        assert [one["outcome"] for one in detail["attempts"]] == ["succeeded", "lost"]
        assert ours(await server.history()) == [detail["attempts"][0]["prompt_id"]]
        assert (State.UNKNOWN.value, Reason.SERVER_RESTARTED) in await watcher.path_of(server)


async def test_keys_dropped_behind_our_back_are_cured_by_the_tag(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=0.2)
    server = rig.server(workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        await watcher.until(server, LOADED)
        await server.clear_keys()
        await watcher.until(server, State.COLD.value, timeout_s=10)
        detail = await watcher.until(server, LOADED)
        assert [one["varied_tag"] for one in detail["attempts"]] == [True, False, False]
        path = await watcher.path_of(server)
        assert (State.COLD.value, Reason.KEYS_MISSING) in path
        assert (State.COLD.value, Reason.CACHED_WITHOUT_LOADING) in path
        assert sorted(await server.cached_keys()) == ["a", "b"]


async def test_a_node_that_raises_is_named(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("raise", seconds=0.1)
    server = rig.server(workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        detail = await watcher.until(server, State.FAILED.value)
        assert detail["reason"] == Reason.PROMPT_FAILED
        assert "node 10 (RigSlowModel) raised ValueError: rig: asked to raise" in detail["message"]
        assert len(await server.history()) == 1


async def test_running_out_of_memory_is_told_from_other_failures(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("explode", seconds=0.1)
    server = rig.server(workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        detail = await watcher.until(server, State.FAILED.value)
        assert detail["reason"] == Reason.OUT_OF_MEMORY
        assert "RigSlowModel" in detail["message"]


async def test_an_unknown_node_is_named_and_nothing_is_posted(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a")
    flow["10"]["class_type"] = "NoSuchLoader"
    server = rig.server(workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        detail = await watcher.until(server, State.FAILED.value)
        assert detail["reason"] == Reason.MISSING_NODES
        assert "'NoSuchLoader'" in detail["message"]
        assert detail["attempts"] == []
        assert await server.history() == {}


async def test_a_stock_server_is_judged_by_its_history(rig: Rig, tmp_path: Path) -> None:
    """No plug-in at all: warm while our success is the newest in history, run again after foreign work."""
    flow = cache_workflow("a", seconds=0.2)
    server = rig.server(manner=Manner.NONE, inspire=False, workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        detail = await watcher.until(server, LOADED)
        assert detail["check"]["kind"] == "history"
        foreign = await server.submit(cache_workflow("other", seconds=0.2))
        await watcher.until_true(server, lambda detail: len(detail["attempts"]) == 2 and detail["state"] == LOADED)
        history = list(await server.history())
        assert history.index(foreign) == 1
        assert len(ours(await server.history())) == 2


async def test_inspire_list_is_asked_where_there_is_no_check_api(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=0.2)
    server = rig.server(manner=Manner.NONE, workflow=flow)
    await server.start()
    async with watched(tmp_path, [server], {"flow": flow}) as watcher:
        detail = await watcher.until(server, LOADED)
        assert detail["check"]["kind"] == "inspire"
        assert len(ours(await server.history())) == 1


async def test_a_pending_prompt_deleted_by_a_user_is_proved_lost(rig: Rig, tmp_path: Path) -> None:
    """Users' work runs; ours waits behind it and is deleted from the queue; nothing is left of it but a `status`."""
    flow = cache_workflow("a", seconds=0.2)
    server = rig.server(workflow=flow)
    await server.start()
    timing = {"check_interval_s": 2, "busy_wait_s": 0, "retry_s": 0.5}
    await server.submit(cache_workflow("users", seconds=6.0))
    async with watched(tmp_path, [server], {"flow": flow}, timing=timing) as watcher:
        detail = await watcher.until(server, State.WARMING.value)
        await server.post("/queue", {"delete": [detail["prompt_id"]]})
        await watcher.until_true(server, lambda detail: detail["attempts"][-1]["outcome"] == "lost", timeout_s=15)
        detail = await watcher.until(server, LOADED)
        assert len(ours(await server.history())) == 1
