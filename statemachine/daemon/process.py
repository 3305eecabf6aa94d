"""The process: background tasks, random numbers and ids, the lock of the data folder."""

import asyncio
import fcntl
import os
import random
import resource
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from statemachine.core.messages import message
from statemachine.i18n.render import MessageError
from statemachine.journal.database import belongs_to
from statemachine.journal.private import open_private, private_folder
from statemachine.journal.store import JOURNAL_FILE
from statemachine.journal.watched import OpenFile
from statemachine.settings.running_port import LOCK_FILE


class AlreadyRunningError(MessageError):
    """Another daemon works in the same data folder."""


@contextmanager
def hold_lock(folder: Path) -> Iterator[OpenFile]:
    """Hold the folder's lock. The kernel releases it when the process ends.

    Raise AlreadyRunningError if another daemon holds it, DataFolderError if it is a link or a device.
    """
    private_folder(folder, partial(belongs_to, JOURNAL_FILE))
    path = folder / LOCK_FILE
    lock = OpenFile(path, open_private(path))
    try:
        fcntl.flock(lock.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.check()
        yield lock
    except BlockingIOError as error:
        raise AlreadyRunningError(message("already_running", folder=str(folder))) from error
    finally:
        os.close(lock.descriptor)


FDS_PER_SERVER = 3
"""The /ws connection, a request, and a new /ws connection while the old one closes."""
OTHER_FDS = 200
"""For readers of the event stream, the journal and the log."""
LEAST_RESERVE = 44
"""Of them for a low limit: the process itself needs about 30."""
LEAST_FOR_SERVERS = 6
UNLIMITED_FDS = 1_000_000
"""The limit in place of none: more than any fleet needs."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Bounds for the connections to all servers. `fits`: no server waits for a connection."""

    requests: int
    sockets: int
    fits: bool


def allow_descriptors(servers: int) -> Descriptors:
    """Raise the limit of open files as far as allowed, and warn if that is too low for so many servers.

    The bounds do not depend on the number of servers, so those of the start also hold after the fleet has grown.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = servers * FDS_PER_SERVER + OTHER_FDS
    limit = UNLIMITED_FDS if hard == resource.RLIM_INFINITY else hard
    shared = share_descriptors(limit, needed)
    if not shared.fits:
        logger.warning(
            "{} servers may need {} file descriptors, but the limit is {}; at most {} requests and {} /ws connections "
            "are open at a time, and the rest is reserved for the page; raise the limit with ulimit -n or LimitNOFILE",
            servers,
            needed,
            limit,
            shared.requests,
            shared.sockets,
        )
    return shared


def share_descriptors(limit: int, needed: int) -> Descriptors:
    """Divide the limit: a reserve for the page and the journal, a third of the rest for requests, two for /ws."""
    reserve = min(OTHER_FDS, max(limit // 2, LEAST_RESERVE))
    for_servers = max(LEAST_FOR_SERVERS, limit - reserve)
    requests = for_servers // 3
    return Descriptors(requests, for_servers - requests, fits=limit >= needed)


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
