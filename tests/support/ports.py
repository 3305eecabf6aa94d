"""Ports for servers that tests start, stop and start again."""

import os
from itertools import count
from socket import SO_REUSEADDR, SOL_SOCKET, socket

_CANDIDATES = count(10_000 + os.getpid() * 97 % 20_000)
"""Each process of a parallel run begins elsewhere."""


def free_port() -> int:
    """Return a free port of 127.0.0.1. It is not ephemeral, so no outgoing connection takes it."""
    return next(port for port in _CANDIDATES if _is_free(port))


def _is_free(port: int) -> bool:
    with socket() as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
