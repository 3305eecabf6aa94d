"""Lines on standard output, and a quiet end when the reader closes the pipe."""

import asyncio
import os
import select
import sys
from collections.abc import Coroutine
from io import TextIOWrapper
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text
from typing_extensions import override

LOOK_S = 0.5


class LineScreen(Console):
    """A console for lines: coloured on a terminal, not folded or cut, and raising BrokenPipeError."""

    def __init__(self) -> None:
        super().__init__(highlight=False, soft_wrap=True)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a character that the locale lacks must not end the program

    def show(self, line: Text) -> None:
        """Print a line immediately."""
        self.print(line)

    @override
    def on_broken_pipe(self) -> NoReturn:
        """Raise what other writers raise. Rich would exit with code 1."""
        raise BrokenPipeError


def show_bytes(line: bytes) -> None:
    """Print a line immediately, independent of the locale's encoding."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def while_read(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work ends or the pipe of standard output is closed, even if nothing is written."""
    tasks = {asyncio.create_task(work), asyncio.create_task(_until_pipe_closes())}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _until_pipe_closes() -> None:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    while not poll.poll(0):  # noqa: ASYNC110 - no event reports it
        await asyncio.sleep(LOOK_S)


def discard_output() -> None:
    """Discard further output, so that the program ends without an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
