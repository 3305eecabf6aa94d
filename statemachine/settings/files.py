"""Files that the settings name. Only regular ones are read: a pipe or a device may never end."""

import errno
import os
import stat
from pathlib import Path


def read_limited(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of the file, and one more if it is larger. Raises OSError, ValueError for a NUL."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _require_regular(path, os.fstat(descriptor))
        return file.read(limit + 1)


def require_regular(path: Path) -> None:
    """Raise OSError unless a library can read the path without waiting for another program."""
    _require_regular(path, path.stat())


def _require_regular(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
