"""The daemon end to end over real ComfyUI servers, whose own history shows what they ran."""

from pathlib import Path

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import attempts_in, running_over, warm_ups_in
from tests.comfyui.rig import CheckMode, Graph, Rig, cache_workflow

LOADED = State.LOADED.value


async def test_daemon_cold_automatic_and_loaded_servers_end_loaded(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=1.0)
    cold = rig.server(workflow=flow)
    automatic = rig.server(check_mode=CheckMode.START, workflow=flow)
    loaded = rig.server(workflow=flow, preload=["a", "b"])
    await rig.start_all()
    async with running_over(tmp_path, rig.servers, {"flow": flow}) as daemon:
        for server in rig.servers:
            await daemon.wait_state(server, LOADED)
        detail = await daemon.server(cold)
        assert [(one["outcome"], one["confirmed_by"]) for one in detail["attempts"]] == [("succeeded", "ws")]
        assert list(attempts_in(await cold.history())) == [detail["attempts"][0]["prompt_id"]]
        assert len(await cold.history()) == 1
        assert ("auto_executing", Reason.SERVER_AUTO_EXECUTING) in await daemon.path_of(automatic)
        assert warm_ups_in(await automatic.history()) == []
        assert await automatic.history(), "the server's own workflow must have run"
        assert await loaded.history() == {}
        assert (await daemon.get("/api/status"))["states"] == {LOADED: 3}


async def test_daemon_server_killed_while_warming_is_warmed_again(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=4.0)
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        await daemon.wait_until(server, lambda detail: (detail["progress"] or 0) > 0.1)
        await server.kill()
        await daemon.wait_state(server, State.UNREACHABLE.value)
        await server.start()
        detail = await daemon.wait_state(server, LOADED)
        assert [one["outcome"] for one in detail["attempts"]] == ["succeeded", "lost"]
        assert list(attempts_in(await server.history())) == [detail["attempts"][0]["prompt_id"]]
        assert (State.UNKNOWN.value, Reason.SERVER_RESTARTED) in await daemon.path_of(server)


async def test_daemon_success_without_loading_varies_tag(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=0.2)
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        await daemon.wait_state(server, LOADED)
        await server.clear_keys()
        await daemon.wait_state(server, State.COLD.value, timeout_s=10)
        detail = await daemon.wait_state(server, LOADED)
        assert [one["varied_tag"] for one in detail["attempts"]] == [True, False, False]
        transitions = await daemon.path_of(server)
        assert (State.COLD.value, Reason.KEYS_MISSING) in transitions
        assert (State.COLD.value, Reason.CACHED_WITHOUT_LOADING) in transitions
        assert sorted(await server.cached_keys()) == ["a", "b"]


async def test_daemon_node_raises_message_names_node(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("raise", seconds=0.1)
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_state(server, State.FAILED.value)
        assert detail["reason"] == Reason.PROMPT_FAILED
        assert "node 10 (RigSlowModel) raised ValueError: rig: asked to raise" in detail["message"]
        assert len(await server.history()) == 1


BLOCKED: Graph = {
    "1": {"class_type": "RigBlocks", "inputs": {"text": "no input image"}},
    "2": {"class_type": "CacheBackendData //Inspire", "inputs": {"key": "z", "tag": "model", "data": ["1", 0]}},
}
"""Cache node 2 is skipped: an ExecutionBlocker sends `execution_error`, and the prompt goes on to success."""


async def test_daemon_blocked_node_does_not_end_the_prompt(rig: Rig, tmp_path: Path) -> None:
    """Its text follows the verdict and stays with the attempt."""
    flow = cache_workflow("a", seconds=1.0)
    server = rig.server(keys=["a"], workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": {**BLOCKED, **flow}}) as daemon:
        await daemon.wait_state(server, LOADED)
        detail = await daemon.server(server)
        assert [one["outcome"] for one in detail["attempts"]] == ["succeeded"]
        assert "failed" not in {state for state, _ in await daemon.path_of(server)}
        assert len(await server.history()) == 1
        for message in (detail["message"], detail["attempts"][0]["message"]):
            assert "no input image" in message


async def test_daemon_blocked_cache_node_is_named_where_its_key_is_missing(rig: Rig, tmp_path: Path) -> None:
    flow = {**BLOCKED, **cache_workflow("a", seconds=0.1)}
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_state(server, State.FAILED.value)
        assert detail["reason"] == Reason.STILL_COLD_AFTER_SUCCESS
        assert detail["missing"] == ["z"]
        assert "no input image" in detail["message"]
        assert len(await server.history()) == len(detail["attempts"]) <= 3


async def test_daemon_out_of_memory_is_the_reason(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("explode", seconds=0.1)
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_state(server, State.FAILED.value)
        assert detail["reason"] == Reason.OUT_OF_MEMORY
        assert "RigSlowModel" in detail["message"]


async def test_daemon_unknown_node_class_nothing_is_submitted(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a")
    flow["10"]["class_type"] = "NoSuchLoader"
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_state(server, State.FAILED.value)
        assert detail["reason"] == Reason.MISSING_NODES
        assert "NoSuchLoader" in detail["message"]
        assert detail["attempts"] == []
        assert await server.history() == {}


async def test_daemon_server_without_plugins_is_checked_by_history(rig: Rig, tmp_path: Path) -> None:
    """The server is warm while comfywarm's success is the newest history entry, and warmed again after other work."""
    flow = cache_workflow("a", seconds=0.2)
    server = rig.server(check_mode=CheckMode.NONE, inspire=False, workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_state(server, LOADED)
        assert detail["check"]["kind"] == "history"
        foreign = await server.submit(cache_workflow("other", seconds=0.2))
        await daemon.wait_until(server, lambda detail: len(detail["attempts"]) == 2 and detail["state"] == LOADED)
        history = list(await server.history())
        assert history.index(foreign) == 1
        assert len(warm_ups_in(await server.history())) == 2


async def test_daemon_server_without_check_api_is_checked_by_inspire(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=0.2)
    server = rig.server(check_mode=CheckMode.NONE, workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_state(server, LOADED)
        assert detail["check"]["kind"] == "inspire"
        assert len(warm_ups_in(await server.history())) == 1


async def test_daemon_pending_prompt_deleted_by_user_is_lost(rig: Rig, tmp_path: Path) -> None:
    """A user deletes the warm-up from the queue while it waits. The server then sends only a `status` frame."""
    flow = cache_workflow("a", seconds=0.2)
    server = rig.server(workflow=flow)
    await server.start()
    timing = {"check_interval_s": 2, "busy_wait_s": 0, "retry_s": 0.5}
    await server.submit(cache_workflow("users", seconds=6.0))
    async with running_over(tmp_path, [server], {"flow": flow}, timing=timing) as daemon:
        await daemon.wait_state(server, State.WARMING.value)
        (ours,) = (await server.queue())["queue_pending"]
        await server.post("/queue", {"delete": [ours[1]]})
        await daemon.wait_until(server, lambda detail: detail["attempts"][-1]["outcome"] == "lost", timeout_s=15)
        await daemon.wait_state(server, LOADED)
        assert len(warm_ups_in(await server.history())) == 1
