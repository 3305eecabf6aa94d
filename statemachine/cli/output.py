"""Lines on standard output, one at a time, and the quiet end where nobody reads them any more."""

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
    """A console for lines: coloured on a terminal, never folded or cut by us, and frank about a closed pipe."""

    def __init__(self) -> None:
        super().__init__(highlight=False, soft_wrap=True)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a letter that the locale lacks must not end the program

    def show(self, line: Text) -> None:
        """Print it at once."""
        self.print(line)

    @override
    def on_broken_pipe(self) -> NoReturn:
        """As every other writer learns of it: rich would end the program as a failure."""
        raise BrokenPipeError


def show_bytes(line: bytes) -> None:
    """Print it at once, whatever encoding the locale has."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def while_read(work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it ends or nobody reads standard output any more: a quiet log would not notice by writing."""
    tasks = {asyncio.create_task(work), asyncio.create_task(_until_nobody_reads())}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _until_nobody_reads() -> None:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    while not poll.poll(0):  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(LOOK_S)


def drop_the_rest() -> None:
    """What is still to be written goes nowhere, so that the end of the program is as quiet as the reader's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
