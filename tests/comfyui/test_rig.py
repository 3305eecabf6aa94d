"""The rig: its servers' answers, their state after a kill, and their end with the test run."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.comfyui.client import RigClient, RigError
from tests.comfyui.rig import CheckMode, Rig, cache_workflow

LOADED = "缓存已加载。"
FLOW = cache_workflow("a", "b", seconds=0.3)
END_TIMEOUT_S = 10.0


async def test_server_check_modes_answer_as_configured(rig: Rig) -> None:
    reporting = rig.server(check_mode=CheckMode.REPORT, workflow=FLOW)
    warm = rig.server(check_mode=CheckMode.REPORT, workflow=FLOW, preload=["a", "b"])
    stock = rig.server(check_mode=CheckMode.NONE, inspire=False)
    await rig.start_all()

    assert await reporting.check() == "未查询到缓存a,b。"
    assert (await reporting.queue())["queue_running"] == []
    assert await warm.check() == LOADED
    for path in ("/cache/check", "/inspire/cache/list", "/inspire/cache/clear"):
        with pytest.raises(RigError, match="404"):
            await stock.get(path)


async def test_server_check_mode_start_runs_own_workflow(rig: Rig) -> None:
    server = rig.server(check_mode=CheckMode.START, workflow=FLOW)
    await server.start()

    assert await server.check() == "未查询到缓存a,b，已经自动在后台执行缓存模型工作流。"
    await server.check()
    await server.wait_idle()

    assert await server.check() == LOADED
    assert await server.check_count() == 3
    history = await server.history()
    assert list(history) == await server.self_started()
    assert len(history) == 2
    assert all("client_id" not in entry["prompt"][3] for entry in history.values())


async def test_server_dropped_key_returns_with_another_tag_only(rig: Rig) -> None:
    server = rig.server(workflow=FLOW)
    await server.start()
    await server.submit(FLOW)
    await server.wait_idle()
    assert "a: model\n" in await server.get("/inspire/cache/list")

    await server.clear_keys("a")
    second = await server.submit(FLOW)
    await server.wait_idle()
    assert (await server.history())[second]["status"]["status_str"] == "success"
    assert await server.check() == "未查询到缓存a。"

    await server.submit(cache_workflow("a", "b", seconds=0.3, tag="again"))
    await server.wait_idle()
    assert await server.check() == LOADED


async def test_server_killed_loses_state_and_keeps_port(rig: Rig) -> None:
    server = rig.server(workflow=FLOW)
    await server.start()
    url = server.url
    await server.submit(FLOW)
    await server.wait_idle()

    await server.kill()
    with pytest.raises(OSError, match="Cannot connect"):
        await server.history()

    await server.start()
    assert server.url == url
    assert await server.history() == {}
    assert await server.cached_keys() == []
    await server.stop()
    assert not server.running


async def test_server_failing_models_raise_as_named(rig: Rig) -> None:
    server = rig.server()
    await server.start()
    explodes = await server.submit(cache_workflow("explode"))
    raises = await server.submit(cache_workflow("raise"))
    await server.wait_idle()

    history = await server.history()
    last = {prompt: history[prompt]["status"]["messages"][-1][1] for prompt in (explodes, raises)}
    assert last[explodes]["exception_type"] == "RuntimeError"
    assert last[explodes]["exception_message"] == "CUDA out of memory (rig)\n"
    assert last[raises]["exception_message"] == "rig: asked to raise\n"


async def test_server_failed_start_error_has_log(rig: Rig) -> None:
    first = rig.server()
    await first.start()
    second = rig.server()
    second.port = first.port
    with pytest.raises(RigError, match=r"exited during startup(?s:.*)already in use"):
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


async def test_server_of_killed_test_run_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    client = RigClient(url, tmp_path / "server-0" / "comfyui.log")
    assert await client.history() == {}

    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        async with asyncio.timeout(END_TIMEOUT_S):
            async for _ in socket:
                pass
    with pytest.raises(OSError, match="Cannot connect"):
        await client.history()
