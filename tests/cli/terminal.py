"""A pseudo-terminal of a given width for a command under test."""

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.paths import RUN_SCRIPT
from tests.support.polling import PATIENCE_S


class Terminal:
    """The output of a process so far."""

    def __init__(self, process: Process, end: int) -> None:
        self.process = process
        self.text = ""
        self._end = end

    async def until(self, mark: str) -> str:
        """Wait for the mark and return all output."""
        async with asyncio.timeout(PATIENCE_S):
            while mark not in self.text:
                self.text += (await asyncio.to_thread(self._read)).decode()
        return self.text

    def press(self, keys: bytes) -> None:
        """Type keys."""
        os.write(self._end, keys)

    def _read(self) -> bytes:
        return os.read(self._end, 65_536)


@asynccontextmanager
async def on_terminal(settings: Path, *arguments: str, columns: int, **environment: str) -> AsyncIterator[Terminal]:
    """Run a command on a terminal and kill it at the end if it still runs."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(RUN_SCRIPT), "--settings", str(settings), *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**clean, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(ours)
