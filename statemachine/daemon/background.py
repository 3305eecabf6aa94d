"""Background tasks, and the daemon's sources of ids and random numbers."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger


def new_id() -> str:
    """Return a new unique id: a lower-case UUID."""
    return str(uuid.uuid4())


def random_source() -> Callable[[], float]:
    """Return a source of unpredictable numbers in [0, 1)."""
    return random.SystemRandom().random


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` during the block and cancel it afterwards. If it fails, log the exception."""
    task = asyncio.create_task(_log_failure(work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _log_failure(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        logger.exception("background task {} failed and has ended", getattr(work, "__qualname__", "work"))
