"""Enough file descriptors for the fleet: shells and service managers often allow 1,024, and a server takes two."""

import resource

from loguru import logger

A_SERVER = 3
"""The /ws connection, a request, and the next one's connection while the last is being closed."""
BESIDES = 200
"""Readers of the event stream, the journal, the log."""


def allow_descriptors(servers: int) -> None:
    """Raise this process's own limit as far as it may; say so where that is not enough for so many servers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = servers * A_SERVER + BESIDES
    if hard != resource.RLIM_INFINITY and hard < needed:
        logger.warning(
            "{} servers may take {} file descriptors, and the limit is {}: see ulimit -n", servers, needed, hard
        )
