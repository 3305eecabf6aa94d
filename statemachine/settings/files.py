"""Files that the settings name, and the encoding of one that should be in UTF-8, or in ASCII.

Only regular files are read: a pipe or a device may never end.
"""

import errno
import json
import os
import re
import stat
from pathlib import Path

from statemachine.core.messages import Message, message

_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_PAIR = re.compile(rb"[\x81-\xfe][\x80-\xfe]")
"""Two bytes of one Chinese character. Western encodings rarely have two letters outside ASCII in a row."""


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


def wrong_encoding(data: bytes) -> Message | None:
    """Return which other encoding a file has, None if it is UTF-8 or an unknown one."""
    if wide := wide_encoding(data):
        return wide
    try:
        data.decode()
    except UnicodeDecodeError as error:
        is_cut_off = error.end == len(data)
        is_chinese = not is_cut_off and _PAIR.search(data) and _is_text(data, "gb18030")
        return message("file_encoding_guess", encoding="GBK") if is_chinese else None
    return None


def not_utf8_at(data: bytes) -> tuple[int, int] | None:
    """Return line and column of the first byte that is not UTF-8, None if there is none."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().split("\n")
        return len(before), len(before[-1]) + 1
    return None


def wide_encoding(data: bytes) -> Message | None:
    """Return whether a file that should begin with ASCII is in UTF-16 or UTF-32, None if it is not."""
    found = json.detect_encoding(data)
    if found.startswith("utf-8") or not (data.startswith(_WIDE_BOMS) or _is_text(data, found)):
        return None
    return message("file_encoding", encoding=found[:6].upper())


def _is_text(data: bytes, encoding: str) -> bool:
    try:
        return "\0" not in data.decode(encoding)
    except UnicodeDecodeError:
        return False
