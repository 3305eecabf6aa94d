"""The port at which a running daemon listens, in the lock of its data folder.

It differs from `listen.port` after `serve --port`, and where that setting is 0.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_FILE = "lock"
LONGEST = 16
HIGHEST = 65535


@contextmanager
def showing_port(lock: int, port: int) -> Iterator[None]:
    """Show the port in the lock, whose descriptor is given, within the block. A full disk is no reason to stop."""
    with suppress(OSError):
        os.pwrite(lock, b"%-*d\n" % (LONGEST - 1, port), 0)  # one write, which leaves nothing of an older port
    try:
        yield
    finally:
        with suppress(OSError):
            os.ftruncate(lock, 0)


def running_port(folder: Path) -> int | None:
    """Return the port of the daemon that works in this folder; None if none does or it cannot be read.

    After a crash it is the port of the daemon that crashed.
    """
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _port(os.read(descriptor, LONGEST))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _port(content: bytes) -> int | None:
    digits = content.strip()
    port = int(digits) if digits.isdigit() else 0
    return port if 0 < port <= HIGHEST else None
