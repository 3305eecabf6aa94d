"""The rig itself: what its servers say, what they forget, and that none of them outlives a test."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.comfyui.client import Client, RigError
from tests.comfyui.rig import Manner, Rig, cache_workflow

LOADED = "缓存已加载。"
FLOW = cache_workflow("a", "b", seconds=0.3)


async def test_three_manners_side_by_side(rig: Rig) -> None:
    says = rig.server(manner=Manner.SAYS, workflow=FLOW)
    warm = rig.server(manner=Manner.SAYS, workflow=FLOW, preload=["a", "b"])
    stock = rig.server(manner=Manner.NONE, inspire=False)
    await rig.start_all()

    assert await says.check() == "未查询到缓存a,b。"
    assert (await says.queue())["queue_running"] == []
    assert await warm.check() == LOADED
    for path in ("/cache/check", "/inspire/cache/list", "/inspire/cache/clear"):
        with pytest.raises(RigError, match="404"):
            await stock.get(path)


async def test_a_check_that_starts_the_workflow_by_itself(rig: Rig) -> None:
    server = rig.server(manner=Manner.STARTS, workflow=FLOW)
    await server.start()

    assert await server.check() == "未查询到缓存a,b，已经自动在后台执行缓存模型工作流。"
    await server.check()
    await server.idle()

    assert await server.check() == LOADED
    assert await server.checks_asked() == 3
    history = await server.history()
    assert list(history) == await server.self_started()
    assert len(history) == 2
    assert all("client_id" not in entry["prompt"][3] for entry in history.values())


async def test_the_trap_and_its_way_out(rig: Rig) -> None:
    server = rig.server(workflow=FLOW)
    await server.start()
    await server.submit(FLOW)
    await server.idle()
    assert "a: model\n" in await server.get("/inspire/cache/list")

    await server.clear_keys("a")
    cached_by_executor = await server.submit(FLOW)
    await server.idle()
    assert (await server.history())[cached_by_executor]["status"]["status_str"] == "success"
    assert await server.check() == "未查询到缓存a。"

    await server.submit(cache_workflow("a", "b", seconds=0.3, tag="again"))
    await server.idle()
    assert await server.check() == LOADED


async def test_a_kill_forgets_everything_and_keeps_the_port(rig: Rig) -> None:
    server = rig.server(workflow=FLOW)
    await server.start()
    url = server.url
    await server.submit(FLOW)
    await server.idle()

    await server.kill()
    with pytest.raises(OSError, match="Cannot connect"):
        await server.history()

    await server.start()
    assert server.url == url
    assert await server.history() == {}
    assert await server.cached_keys() == []
    await server.stop()
    assert not server.running


async def test_models_that_fail(rig: Rig) -> None:
    server = rig.server()
    await server.start()
    explodes = await server.submit(cache_workflow("explode"))
    raises = await server.submit(cache_workflow("raise"))
    await server.idle()

    history = await server.history()
    last = {prompt: history[prompt]["status"]["messages"][-1][1] for prompt in (explodes, raises)}
    assert last[explodes]["exception_type"] == "RuntimeError"
    assert last[explodes]["exception_message"] == "CUDA out of memory (rig)\n"
    assert last[raises]["exception_message"] == "rig: asked to raise\n"


async def test_a_server_that_cannot_start_shows_its_log(rig: Rig) -> None:
    first = rig.server()
    await first.start()
    second = rig.server()
    second.port = first.port
    with pytest.raises(RigError, match=r"ended while it started(?s:.*)address already in use"):
        await second.start()


ORPHAN = """
import asyncio, sys, time
from pathlib import Path
from tests.comfyui.rig import Rig

async def main():
    server = Rig(Path(sys.argv[1])).server()
    await server.start()
    print(server.url, flush=True)
    time.sleep(60)

asyncio.run(main())
"""


async def test_no_server_outlives_a_killed_test_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    client = Client(url, tmp_path / "server-0" / "comfyui.log")
    assert await client.history() == {}

    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    for _ in range(100):
        if not await _answers(client):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the server is still there 10 s after the test run was killed")


async def _answers(client: Client) -> bool:
    try:
        await client.history()
    except OSError:
        return False
    return True
