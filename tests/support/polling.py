"""Waiting for a condition that has no event to wait for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 20.0
"""How long a test waits before it fails; generous, because the machine may be busy."""
POLL_S = 0.02
SHOWN = 4000
"""Characters of the last value in the failure message."""


async def wait_until(holds: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Wait until `holds()` is true; TimeoutError if it is not in time."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - its purpose
            await asyncio.sleep(POLL_S)


async def wait_for(
    read: Callable[[], Awaitable[T]], holds: Callable[[T], object] = bool, timeout_s: float = PATIENCE_S
) -> T:
    """Read repeatedly until the value satisfies `holds` and return it; the failure message contains the last value."""
    deadline = time.monotonic() + timeout_s
    while not holds(value := await read()):
        assert time.monotonic() < deadline, f"still after {timeout_s:g} s: {value!r:.{SHOWN}}"
        await asyncio.sleep(POLL_S)
    return value


async def run_ready_tasks(turns: int = 20) -> None:
    """Let everything run that needs no time."""
    for _ in range(turns):
        await asyncio.sleep(0)
