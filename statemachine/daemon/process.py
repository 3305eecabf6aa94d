"""One daemon for one data folder: two would each know only half of what was sent."""

import fcntl
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger

from statemachine.core.messages import message
from statemachine.i18n.render import MessageError


class AlreadyRunningError(MessageError):
    """Another daemon works in the same data folder."""


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel releases it with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(message("already_running", folder=str(folder))) from error
        yield


FDS_PER_SERVER = 3
"""The /ws connection, a request, and the next one's connection while the last is being closed."""
BESIDES = 200
"""Readers of the event stream, the journal, the log."""


def allow_descriptors(servers: int) -> None:
    """Raise this process's own limit as far as it may; say so where that is not enough for so many servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = servers * FDS_PER_SERVER + BESIDES
    if hard != resource.RLIM_INFINITY and hard < needed:
        logger.warning(
            "{} servers may take {} file descriptors, and the limit is {}: see ulimit -n", servers, needed, hard
        )
