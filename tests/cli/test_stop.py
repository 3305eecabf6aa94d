"""A graceful stop is quick with a thousand servers and open event streams."""

import asyncio
import json
import re
import resource
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from statemachine.daemon.process import allow_descriptors
from statemachine.simulator import running_fleet
from statemachine.simulator.profiles import PROFILES
from tests.support.daemon import DaemonClient, command, page_address
from tests.support.paths import WORKFLOWS
from tests.support.polling import PATIENCE_S

SERVERS, READERS = 1000, 20
STOPPED_WITHIN_S = 5.0


@pytest.mark.alone
async def test_stop_with_1000_servers_takes_at_most_5_s(tmp_path: Path) -> None:
    allow_descriptors(SERVERS)
    async with running_fleet([PROFILES["loaded"]] * SERVERS) as fleet, aiohttp.ClientSession() as session:
        settings = {
            "listen": {"port": 0},
            "workflows_dir": str(WORKFLOWS),
            "servers": [member.url for member in fleet.members],
            "logging": {"file": None},
        }
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        async with command(tmp_path / "settings.json", "serve") as process:
            address = await page_address(process)
            await DaemonClient(address, session).wait_for_states({"loaded": SERVERS})
            streams = [await session.get(f"{address}/api/events") for _ in range(READERS)]
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
            taken_s = time.monotonic() - asked
            print(f"stopped within {taken_s:.2f} s: {SERVERS} servers, {READERS} readers")
            assert taken_s < STOPPED_WITHIN_S
            for stream in streams:
                stream.close()


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Lower the limit of open files to that of most shells during the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_allow_descriptors_raises_the_limit() -> None:
    allow_descriptors(SERVERS)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


async def test_sighup_during_start_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(
        json.dumps({"listen": {"port": 0}, "servers": ["http://127.0.0.1:9"], "logging": {"file": None}})
    )
    async with command(tmp_path / "settings.json", "serve") as process:
        sending = asyncio.create_task(hang_up_often(process))
        await page_address(process)
        sending.cancel()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


async def hang_up_often(process: Process) -> None:
    """Send SIGHUP repeatedly, as soon as the process handles it; before that, it would end the process."""
    while True:
        if handles_hangup(process.pid):
            process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.002)


def handles_hangup(pid: int) -> bool:
    """Return whether the kernel reports a handler of the process for SIGHUP."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"SigCgt:\s*(\w+)", status)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGHUP - 1) & 1)
