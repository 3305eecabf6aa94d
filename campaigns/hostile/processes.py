"""The processes beside the daemon: the hostile servers and the client of /healthz."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from campaigns.hostile.report import Run
from campaigns.kill.process import END_S, START_S, DaemonProcess
from tests.support.paths import REPOSITORY


@asynccontextmanager
async def hostile_servers(folder: Path, kinds: Collection[str]) -> AsyncIterator[dict[str, Any]]:
    """Run the hostile servers; yield name → entry in the settings. Their log is `folder/hostile.log`."""
    if not kinds:
        yield {}
        return
    async with _process(folder / "hostile.log", "campaigns.hostile.servers", *kinds) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
        yield json.loads(line)


@asynccontextmanager
async def polling(folder: Path, daemon: DaemonProcess, run: Run) -> AsyncIterator[None]:
    """Ask for /healthz within the block, and add the figures to the run."""
    arguments = ("127.0.0.1", str(daemon.port), str(daemon.pid))
    async with _process(folder / "poller.log", "campaigns.hostile.poller", *arguments) as process:
        assert process.stdout is not None
        reading = asyncio.create_task(_read(process.stdout, run))
        yield
    await reading


async def _read(lines: asyncio.StreamReader, run: Run) -> None:
    async for line in lines:
        _, wall, fair, status = line.split()
        run.healthz_s.append((float(wall), float(fair)))
        run.unanswered += status == b"0"


@asynccontextmanager
async def _process(log: Path, module: str, *arguments: str) -> AsyncIterator[Process]:
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=REPOSITORY,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
            limit=2**24,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), END_S)
