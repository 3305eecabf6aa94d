"""A real ComfyUI whose worker thread dies: diagnosed, restarted by a hook and warmed without a person."""

import asyncio
from pathlib import Path

from tests.comfyui.daemon import running_over, warm_ups_in
from tests.comfyui.rig import Graph, Rig, cache_workflow
from tests.faults.hooks import HookProgram
from tests.support.polling import wait_until

ENDS_WORKER: Graph = {
    "1": {"class_type": "RigEndsWorker", "inputs": {"seconds": 0.1}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}


async def test_dead_worker_is_repaired_without_a_person(rig: Rig, tmp_path: Path) -> None:
    """What the user has sent after the worker's end never ran, so that it can be sent again and runs once."""
    flow, hook = cache_workflow("a", seconds=0.2), HookProgram(tmp_path)
    server = rig.server(workflow=flow, node=True)
    await server.start()
    restart = hook.settings(when_stuck=True, return_timeout_s=120)
    async with running_over(tmp_path, [server], {"flow": flow}, restart=restart) as daemon:
        await daemon.wait_state(server, "loaded")
        await server.submit(ENDS_WORKER)
        await asyncio.sleep(1.0)
        await server.submit(cache_workflow("b", seconds=0.1))
        await wait_until(lambda: hook.servers, timeout_s=90)
        await server.kill()
        await server.start()
        detail = await daemon.wait_until(server, lambda one: (one["restart"] or {}).get("ended_at"), timeout_s=90)
        assert (detail["restart"]["stage"], detail["restart"]["cause"]) == ("succeeded", "queue_stuck")
        assert "worker has died" in str([one["message"] for one in detail["transitions"]])
        history = await server.history()
        assert len(warm_ups_in(history)) == len(history) == 1
    assert len(hook.servers) == 1
