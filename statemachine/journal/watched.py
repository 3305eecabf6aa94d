"""Notice when files of the data folder are deleted, replaced, overwritten or truncated while the daemon uses them.

SQLite keeps writing to a file that has been deleted, so what it commits may be lost with the process. The descriptors
here stay open as long as SQLite's: the inode of a deleted file is then not given to a new one, and SQLite keeps its
locks, which the kernel drops when any descriptor of the file is closed.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from statemachine.core.messages import message
from statemachine.journal.private import DataFolderError

SIDE_FILES = ("", "-wal", "-shm")
"""What SQLite adds to the journal's name: the journal itself, its write-ahead log and that one's index."""

HEADER_BYTES = 100
"""The header of a SQLite file. It also covers the header of the write-ahead log."""

_ACCESS = {"effective_ids": True} if os.access in os.supports_effective_ids else {}


class FileLostError(DataFolderError):
    """The path no longer leads to the file, so another daemon may use what is there."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that this process holds open. The owner of the descriptor closes it."""

    path: Path
    descriptor: int

    @classmethod
    def at(cls, path: Path) -> "OpenFile":
        """Open an existing file to watch it."""
        return cls(path, os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC))

    def check(self) -> None:
        """Raise FileLostError unless the path leads to this file, DataFolderError if that cannot be examined."""
        path = str(self.path)
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileLostError(message("file_gone", path=path)) from error
        except OSError as error:
            raise DataFolderError(
                message("file_not_examined", path=path, error=os.strerror(error.errno or 0))
            ) from error
        if not os.path.samestat(found, os.fstat(self.descriptor)):
            raise FileLostError(message("file_replaced", path=path))


@dataclass(frozen=True, slots=True)
class _Content:
    """What shows that a file was written: its size, its time of change and its header."""

    size: int
    changed_at: int
    header: bytes

    @classmethod
    def of(cls, file: OpenFile) -> "_Content":
        found = os.fstat(file.descriptor)
        return cls(found.st_size, found.st_mtime_ns, os.pread(file.descriptor, HEADER_BYTES, 0))


class JournalFiles:
    """The journal's open files and the lock of its folder. Call all methods in the journal's thread."""

    def __init__(self, path: Path, lock: OpenFile | None) -> None:
        self._main, self._wal, self._index = (OpenFile.at(path.with_name(path.name + suffix)) for suffix in SIDE_FILES)
        self._watched = [*([lock] if lock else []), self._main, self._wal, self._index]
        self._index_size = os.fstat(self._index.descriptor).st_size
        self._was_lost = False
        self.note()

    def note(self) -> None:
        """Remember the content as our last write has left it."""
        self._main_content, self._wal_content = _Content.of(self._main), _Content.of(self._wal)
        self._index_size = max(self._index_size, os.fstat(self._index.descriptor).st_size)

    def check(self) -> None:
        """Raise DataFolderError unless every path still leads to our file, and the journal may be written."""
        try:
            for file in self._watched:
                file.check()
        except FileLostError:
            self._was_lost = True
            raise
        if not os.access(self._main.path, os.R_OK | os.W_OK, **_ACCESS):
            raise DataFolderError(message("file_not_writable", path=str(self._main.path)))

    def is_changed(self) -> bool:
        """Return whether another program has written to the files, after `check`.

        Raise DataFolderError if it has overwritten or truncated them, or if it wrote while they were elsewhere.
        """
        main, wal = _Content.of(self._main), _Content.of(self._wal)
        if main.header != self._main_content.header or main.size < self._main_content.size:
            raise overwritten(self._main.path)
        if wal.size < self._wal_content.size:
            raise overwritten(self._wal.path)
        changed = (main, wal) != (self._main_content, self._wal_content)
        if changed and self._was_lost:
            raise DataFolderError(message("journal_used_meanwhile", path=str(self._main.path)))
        self._was_lost = False
        return changed

    def restore_index(self) -> None:
        """Give a truncated index its length back, or SQLite's next access would end the process (SIGBUS).

        SQLite finds the zeros invalid and rebuilds the index from the write-ahead log.
        """
        if os.fstat(self._index.descriptor).st_size < self._index_size:
            os.ftruncate(self._index.descriptor, self._index_size)

    def close(self) -> None:
        """Close the descriptors. SQLite has closed its own."""
        for file in (self._main, self._wal, self._index):
            os.close(file.descriptor)


def overwritten(path: Path) -> DataFolderError:
    """Return the error for a file whose content another program has replaced."""
    return DataFolderError(message("file_overwritten", path=str(path)))
