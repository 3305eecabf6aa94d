"""Few file descriptors: the page keeps a reserve, and every server is still watched."""

import asyncio
import json
import shlex
import sys
from pathlib import Path

import aiohttp
import pytest

from statemachine.daemon.process import share_descriptors
from statemachine.simulator import running_fleet
from statemachine.simulator.profiles import PROFILES
from tests.support.daemon import COMMON, DaemonClient, page_address
from tests.support.paths import RUN_SCRIPT

SERVERS = 60
VISITORS = 6
CROWD = 80
GROWN = SERVERS + 1
NEW = "http://127.0.0.1:1"
"""A server that a reload adds. Nothing listens there."""


@pytest.mark.parametrize("limit", [64, 128, 256, 1024, 4096, 65_536, 1_048_576])
def test_descriptors_of_servers_leave_a_reserve(limit: int) -> None:
    shared = share_descriptors(limit, needed=100_000)
    assert limit - shared.requests - shared.sockets >= min(200, max(44, limit // 2))
    assert shared.requests >= 2
    assert shared.sockets >= 4
    assert shared.fits == (limit >= 100_000)


async def crowd(port: int) -> None:
    """Open more connections than there are descriptors, for a moment."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CROWD)]
    await asyncio.sleep(1)
    for _, writer in connections:
        writer.close()


async def test_page_with_64_descriptors_answers_while_the_fleet_is_larger(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]] * SERVERS) as fleet, aiohttp.ClientSession() as session:
        settings = {**COMMON, "servers": [member.url for member in fleet.members]}
        path = tmp_path / "settings.json"
        path.write_text(json.dumps(settings), encoding="utf-8")
        run = shlex.join([sys.executable, str(RUN_SCRIPT), "--settings", str(path), "serve"])
        process = await asyncio.create_subprocess_shell(
            f"ulimit -n 64 && exec {run}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            daemon = DaemonClient(await page_address(process), session)
            await daemon.wait_for_states({"loaded": SERVERS})
            streams = [await session.get(f"{daemon.address}/api/events") for _ in range(VISITORS)]
            assert [stream.status for stream in streams] == [200] * VISITORS
            for _ in range(20):
                assert (await daemon.get("/api/status"))["total"] == SERVERS
            for stream in streams:
                stream.close()
            await crowd(int(daemon.address.rpartition(":")[2]))
            await daemon.wait_for_states({"loaded": SERVERS})
            path.write_text(json.dumps({**settings, "servers": [*settings["servers"], NEW]}), encoding="utf-8")
            await daemon.wait_for("/api/status", lambda status: status["total"] == GROWN)
        finally:
            process.terminate()
            _, errors = await process.communicate()
    assert b"Traceback" not in errors
    assert f"{GROWN} servers may need {GROWN * 3 + 200} file descriptors, but the limit is 64".encode() in errors
    assert errors.count(b"file descriptor") <= 5
    assert len(errors.splitlines()) < SERVERS * 10
