"""Private files and folders, independent of the umask, and links that are not followed."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from loguru import logger

from statemachine.core.messages import message
from statemachine.i18n.render import MessageError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
OF_OTHERS = 0o077


class DataFolderError(MessageError):
    """The data folder, or a file in it, is not what it must be."""


def private_folder(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Create the folder for our own user only; narrow an existing one that has nothing but files that are ours."""
    for one in (*reversed(folder.parents), folder):
        if not one.exists():
            one.mkdir(FOLDER_MODE, exist_ok=True)
            one.chmod(FOLDER_MODE)
    with suppress(OSError):  # a folder that cannot be listed or narrowed fails where a file in it is opened
        if all(is_ours(one.name) for one in folder.iterdir()):
            _narrow(folder, folder.stat(), FOLDER_MODE)


def private_file(path: Path) -> None:
    """Create the file for our own user only, or narrow the existing one."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        narrow_file(path)
    else:
        os.fchmod(descriptor, FILE_MODE)
        os.close(descriptor)


def narrow_file(path: Path) -> None:
    """Narrow the file, if it exists, to our own user. Raise DataFolderError if it is not a file of its own."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        _require_own_file(path, found)
        if stat.S_ISREG(found.st_mode):
            _narrow(path, found, FILE_MODE)


def open_private(path: Path) -> int:
    """Open or create the file for our own user only; return its descriptor. Links are not followed."""
    narrow_file(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, FILE_MODE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DataFolderError(message("file_is_link", path=str(path))) from error
        raise
    try:
        found = os.fstat(descriptor)
        _require_own_file(path, found)
        if found.st_uid == os.geteuid():
            os.fchmod(descriptor, FILE_MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_readable(path: Path) -> None:
    """Raise DataFolderError if opening the path could follow a link, or wait for a pipe or a device."""
    with suppress(FileNotFoundError):
        _require_file(path, path.lstat())


def _require_file(path: Path, found: os.stat_result) -> None:
    """Leave a folder to the caller, whose attempt to open it says what it is."""
    if stat.S_ISLNK(found.st_mode):
        raise DataFolderError(message("file_is_link", path=str(path)))
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise DataFolderError(message("file_is_special", path=str(path)))


def _require_own_file(path: Path, found: os.stat_result) -> None:
    """Raise DataFolderError also for a file with a second name, under which others may reach it."""
    _require_file(path, found)
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        raise DataFolderError(message("file_has_links", path=str(path), count=found.st_nlink))


def _narrow(path: Path, found: os.stat_result, mode: int) -> None:
    if found.st_mode & OF_OTHERS and found.st_uid == os.geteuid():
        path.chmod(mode)
        before = stat.S_IMODE(found.st_mode)
        logger.warning("{} was open to other users (mode {:04o}); its mode is now {:04o}", path, before, mode)
