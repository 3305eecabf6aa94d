"""One daemon for one data folder: two would each know only half of what was sent."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another daemon works in the same data folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel releases it with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"another daemon is already running in {folder}") from error
        yield
