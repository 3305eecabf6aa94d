"""Tasks that run beside a block, and the daemon's sources of ids and random numbers."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def chance() -> Callable[[], float]:
    """Numbers in [0, 1) that nobody can foresee."""
    return random.SystemRandom().random


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on beside the block, and is over when the block is left. Where it fails the log says so."""
    task = asyncio.create_task(_loudly(work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _loudly(work: Coroutine[Any, Any, None]) -> None:
    """Nobody waits for what is done in the background, so nobody would hear of its error."""
    try:
        await work
    except Exception:
        logger.exception("{} has failed and is not done any more", getattr(work, "__qualname__", "work"))
