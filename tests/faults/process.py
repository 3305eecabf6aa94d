"""A daemon process whose limits and environment a test can change."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.daemon import PAGE, Json
from tests.support.paths import RUN_SCRIPT
from tests.support.polling import PATIENCE_S, wait_until


class Program:
    """`run.py serve` with additional environment variables. `start` is the `start` of `watched`."""

    def __init__(self, **environment: str) -> None:
        self._environment = {**os.environ, "NO_COLOR": "1", **environment}
        self.lines: list[str] = []
        """The lines of its log."""
        self.pid = 0
        self._killed = False

    @asynccontextmanager
    async def start(self, folder: Path, data: Json) -> AsyncIterator[str]:
        """Run the daemon until the block ends; yield its address."""
        command = self._command(folder, data)
        process = await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=DEVNULL, stderr=PIPE)
        self.pid = process.pid
        reading = asyncio.create_task(self._read(process))
        try:
            yield await self._address()
            assert self._killed or process.returncode is None, self.lines
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), PATIENCE_S)
            await reading
            print(*self.lines, sep="\n")

    async def until_logged(self, words: str) -> None:
        """Wait until a line of the log contains the words."""
        await wait_until(lambda: any(words in line for line in self.lines))

    async def refused(self, folder: Path, data: Json) -> str:
        """Run a daemon that must refuse to start with exit code 1; return its error."""
        command = self._command(folder, data)
        process = await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=DEVNULL, stderr=PIPE)
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode == 1
        return errors.decode()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._killed = True
        os.kill(self.pid, signal.SIGKILL)

    def limit(self, what: int, most: int | None) -> None:
        """Set a soft limit of the process; None removes it."""
        _, hard = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (hard if most is None else most, hard))

    def _command(self, folder: Path, data: Json) -> tuple[str, ...]:
        settings = folder / "settings.json"
        settings.write_text(json.dumps(data), encoding="utf-8")
        return (sys.executable, str(RUN_SCRIPT), "--settings", str(settings), "serve")

    async def _read(self, process: Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.lines.append(line.decode().rstrip())

    async def _address(self) -> str:
        await self.until_logged("the page is at")
        found = next(filter(None, map(PAGE.search, self.lines)))
        return found.group(1)
