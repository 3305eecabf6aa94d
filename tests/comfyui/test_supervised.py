"""Real servers whose process ends under each warm-up, and a supervisor that brings them back."""

import asyncio
from pathlib import Path

import pytest

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import SHORT_TIMING, running_over
from tests.comfyui.rig import CheckMode, Graph, RealServer, Rig, cache_workflow

SERVER_COUNT = 4
MOST_WARM_UPS = 3
POLL_S = 0.2
RESTART_PAUSE_S = 0.5
QUIET_S = 15.0
"""Far more than the time between two warm-ups of the same server before it failed."""

FLOW: Graph = {**cache_workflow("a"), "10": {"class_type": "RigEndsServer", "inputs": {"seconds": 0.5}}}


async def supervise(server: RealServer) -> None:
    """Start the server again whenever its process has ended."""
    while True:
        await asyncio.sleep(POLL_S)
        if not server.running:
            await server.kill()  # it has ended; close its descriptor
            await asyncio.sleep(RESTART_PAUSE_S)
            await server.start()


@pytest.mark.timeout(600)
async def test_warm_ups_that_end_their_server_stop_after_three(rig: Rig, tmp_path: Path) -> None:
    for number in range(SERVER_COUNT):
        rig.server(check_mode=CheckMode.REPORT if number % 2 else CheckMode.NONE, keys=["a"], inspire=number % 4 < 2)
    await rig.start_all()
    supervisors = [asyncio.create_task(supervise(server)) for server in rig.servers]
    try:
        async with running_over(tmp_path, rig.servers, {"flow": FLOW}, timing=SHORT_TIMING) as daemon:
            for server in rig.servers:
                detail = await daemon.wait_until(
                    server, lambda detail: detail["reason"] == Reason.WARM_UP_ENDS_SERVER, timeout_s=500
                )
                assert detail["state"] == State.FAILED.value
            await asyncio.sleep(QUIET_S)
            counts = [await count_submissions(server) for server in rig.servers]
            print(f"warm-ups of {SERVER_COUNT} servers that they ended: {counts}")
            assert max(counts) <= MOST_WARM_UPS
            assert all(server.running for server in rig.servers)
            for server in rig.servers:
                assert (await daemon.server(server))["state"] == State.FAILED.value
    finally:
        for task in supervisors:
            task.cancel()
        await asyncio.gather(*supervisors, return_exceptions=True)


async def count_submissions(server: RealServer) -> int:
    """Return how many prompts the server accepted over all its starts, by its own log."""
    return (await asyncio.to_thread(server.log.read_text, "utf-8", "replace")).count("got prompt")
