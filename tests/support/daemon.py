"""A daemon in this process or as a process of its own, and its API as an operator reads it."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from tests.support.paths import RUN_SCRIPT, WORKFLOWS
from tests.support.polling import PATIENCE_S, wait_for

Json = dict[str, Any]

COMMON: Json = {"workflows_dir": str(WORKFLOWS), "listen": {"port": 0}, "logging": {"file": None}}
"""Settings of nearly every test's daemon."""

PAGE = re.compile(r"the page is at (https?://\S+?)/status")
"""What a daemon logs once it listens."""


class DaemonClient:
    """Reads the API of the daemon at `address`."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self.session = session

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        async with self.session.get(self.address + path) as response:
            return await response.json()

    async def post(self, path: str) -> int:
        """Return the status of a POST."""
        async with self.session.post(self.address + path) as response:
            return response.status

    async def detail(self, name: str) -> Json:
        """Return everything about one server."""
        detail: Json = await self.get(f"/api/servers/{name}")
        return detail

    async def transitions(self, name: str) -> list[tuple[str, str]]:
        """Return the server's transitions, oldest first, as (state, reason)."""
        detail = await self.detail(name)
        return [(one["to"], one["reason"]) for one in reversed(detail["transitions"])]

    async def wait_for(self, path: str, holds: Callable[[Any], object], timeout_s: float = PATIENCE_S) -> Any:
        """Wait until the JSON of a GET satisfies `holds` and return it."""
        return await wait_for(lambda: self.get(path), holds, timeout_s)

    async def wait_for_detail(self, name: str, holds: Callable[[Json], object], timeout_s: float = PATIENCE_S) -> Json:
        """Wait until the server's detail satisfies `holds` and return it."""
        return await wait_for(lambda: self.detail(name), holds, timeout_s)

    async def wait_for_state(self, name: str, state: str, timeout_s: float = PATIENCE_S) -> Json:
        """Wait until the server is in that state and return its detail."""
        return await self.wait_for_detail(name, lambda detail: detail["state"] == state, timeout_s)

    async def wait_for_states(self, counts: Mapping[str, int], timeout_s: float = PATIENCE_S) -> Json:
        """Wait until the fleet consists of exactly these states and return the status."""
        status: Json = await self.wait_for("/api/status", lambda status: status["states"] == counts, timeout_s)
        return status


@asynccontextmanager
async def daemon_in_process(folder: Path, settings: Mapping[str, Any], **options: Any) -> AsyncIterator[DaemonClient]:
    """Run a daemon in this process with these settings over COMMON; `options` go to `running_daemon`."""
    parsed = parse_settings({**COMMON, **settings}, folder, {})
    async with running_daemon(parsed, **options) as daemon, aiohttp.ClientSession() as session:
        yield DaemonClient(daemon.address, session)


@asynccontextmanager
async def command(settings: Path, *arguments: str, **environment: str) -> AsyncIterator[Process]:
    """Run a command as a process; kill it at the end of the block if it still runs."""
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(settings), *arguments)
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **environment}
    process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=PIPE, env=variables)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def page_address(process: Process, timeout_s: float = PATIENCE_S) -> str:
    """Read the process's log until the daemon listens; return its address."""
    assert process.stderr is not None
    async with asyncio.timeout(timeout_s):
        async for line in process.stderr:
            if found := PAGE.search(line.decode()):
                return found[1]
    raise AssertionError("the daemon ended before it listened")
