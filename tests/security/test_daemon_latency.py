"""No turn of a whole daemon, with all its threads, is long beside servers that send what costs most to read."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from campaigns.hostile.secrets import SECRET
from statemachine.simulator import PROFILES, running_fleet
from tests.faults.harness import Memory
from tests.security.loop_turns import LoopTurns
from tests.support.daemon import daemon_in_process
from tests.support.paths import REPOSITORY

MIB = 2**20
KINDS = (
    *("large-queue", "large-object-info", "large-history", "escapes-check", "escapes-frames", "ws-flood-of-texts"),
    *("interim", "empty-lines", "chunk-sizes", "packed-nothing", "chunked-refusal"),
)
OBSERVED_S = 3.0
LONGEST_TURN_S = 0.05
MOST_MEMORY = 2 * 64 * MIB


@asynccontextmanager
async def hostile_servers() -> AsyncIterator[list[dict[str, Any]]]:
    """Run the servers as a process and yield their entries of the settings."""
    program = (sys.executable, "-m", "campaigns.hostile.servers", *KINDS)
    process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, cwd=REPOSITORY)
    assert process.stdout is not None
    try:
        entries = json.loads(await process.stdout.readline())
        headers = {"Authorization": f"Bearer {SECRET}"}
        yield [{**entry, "name": name, "headers": headers} for name, entry in entries.items()]
    finally:
        process.kill()
        await process.wait()


@pytest.mark.ratios
async def test_hostile_servers_cause_no_long_turn_of_the_daemon(tmp_path: Path) -> None:
    """A turn is measured as the processor time of all threads, because one that works keeps the loop waiting."""
    async with running_fleet([PROFILES["loaded"]]) as fleet, hostile_servers() as hostile:
        servers = [{"url": fleet.urls[0], "name": "honest"}, *hostile]
        settings = {"servers": servers, "timing": {"check_interval_s": 0.5, "retry_s": 0.2, "http_timeout_s": 10}}
        with Memory() as memory:
            async with daemon_in_process(tmp_path, settings) as client:
                await client.wait_for_state("honest", "loaded")
                async with LoopTurns(time.process_time) as turns:
                    await asyncio.sleep(OBSERVED_S)
                honest = await client.detail("honest")
    print(f"longest turn {1000 * turns.longest_s:.0f} ms; memory +{memory.growth / MIB:.0f} MiB")
    assert honest["counters"]["checks"] > 1
    assert turns.longest_s < LONGEST_TURN_S
    assert memory.growth < MOST_MEMORY
