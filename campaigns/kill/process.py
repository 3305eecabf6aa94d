"""The daemon as a process that can be restarted: `python run.py --settings FILE serve`."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.paths import RUN_SCRIPT
from tests.support.ports import free_port

END_S = 20.0
START_S = 60.0
POLL_S = 0.02
FAULTS = ("Traceback (most recent call last)", "failed and is retried")
"""Texts in the daemon's log that mean an internal error."""


class DaemonDiedError(Exception):
    """The daemon ended by itself. The message contains the end of its log."""


class DaemonProcess:
    """A daemon with one settings file and one port. All its runs write to `folder/daemon.log`."""

    verb = "serve"
    """The command that it runs."""

    def __init__(self, folder: Path, settings: dict[str, Any], **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.settings_file = folder / "settings.json"
        self.log = folder / "daemon.log"
        whole = {"data_dir": "data", "logging": {"file": None}, "listen": {"port": self.port}, **settings}
        self.settings_file.write_text(json.dumps(whole), encoding="utf-8")
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **environment}
        self._process: Process | None = None

    @property
    def journal_file(self) -> Path:
        return self.folder / "data" / "journal.sqlite3"

    @property
    def pid(self) -> int:
        """The process id of the current run."""
        return self._alive().pid

    async def start(self) -> None:
        """Start the daemon; return before it responds."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command(self.verb), stdin=DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    async def until_answering(self) -> None:
        """Wait for the web server. Raises DaemonDiedError if the process ends instead."""
        give_up = time.monotonic() + START_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(END_S)) as session:
            while time.monotonic() < give_up:
                self._alive()
                try:
                    async with session.get(f"{self.address}/healthz"):
                        return
                except (aiohttp.ClientError, TimeoutError):
                    await asyncio.sleep(POLL_S)
        raise DaemonDiedError(f"no response after {START_S:g} s\n{self.log_tail()}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Start the daemon, wait for the web server, and end the daemon after the block."""
        await self.start()
        try:
            await self.until_answering()
            yield self
        finally:
            await self.end()

    def kill(self) -> None:
        """Send SIGKILL. Raises DaemonDiedError if the process has ended by itself."""
        self._alive().kill()

    def signal(self, what: signal.Signals) -> None:
        """Send a signal. Raises DaemonDiedError if the process has ended by itself."""
        self._alive().send_signal(what)

    async def wait_ended(self) -> None:
        """Wait for the end of a killed process."""
        if self._process is not None:
            await asyncio.wait_for(self._process.wait(), END_S)
            self._process = None

    async def end(self) -> int:
        """Send SIGTERM; return the exit code, or 0 if the daemon is not running."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        if process.returncode is None:
            process.terminate()
        try:
            return await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def tail(self, *arguments: str) -> Process:
        """Start `run.py tail --json` with a pipe as standard output; stderr goes to tail.log."""
        with (self.folder / "tail.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.command("tail", "--json", *arguments),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=log,
                env=self._environment,
            )

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of the CLI with this daemon's settings."""
        return [sys.executable, str(RUN_SCRIPT), "--settings", str(self.settings_file), *arguments]

    def faults(self) -> list[str]:
        """Return the lines of the log that mean an internal error."""
        return self.lines_with(*FAULTS)

    def lines_with(self, *texts: str) -> list[str]:
        """Return the lines of the log that contain one of these texts."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if any(text in line for text in texts)]

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])

    def _alive(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            raise DaemonDiedError(f"the daemon is not running\n{self.log_tail()}")
        return self._process
