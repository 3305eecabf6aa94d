"""The journal's disk: a real SQLite file, written on the loop's thread, slow or full on request."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

from typing_extensions import override

from campaigns.simulation.wire import Daemon
from statemachine.journal.store import JournalStore, Write

T = TypeVar("T")

QUICK_S = 0.0005


class DiskWatcher(Protocol):
    """Receives each successful and each failed write."""

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None: ...

    def write_failed(self) -> None: ...


class Disk:
    """The disk below the journals of all runs of a daemon."""

    def __init__(self, path: Path, rng: Random, watcher: DiskWatcher) -> None:
        self.path, self.watcher = path, watcher
        self.full = False
        self.slow_s = 0.0
        self._rng = rng

    def pause(self) -> float:
        """Return the seconds that half of a call takes."""
        return QUICK_S + self.slow_s * self._rng.random()


class WatchedStore(JournalStore):
    """The real store on a simulated disk."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.path)
        self._disk = disk

    @override
    def write(self, batch: Sequence[Write]) -> list[int | None]:
        if self._disk.full:
            self._disk.watcher.write_failed()
            raise sqlite3.OperationalError("database or disk is full")
        numbers = super().write(batch)
        self._disk.watcher.committed(batch, numbers)
        return numbers


class InlineRunner:
    """The journal's runner without a thread. After the daemon's crash it runs no more calls."""

    def __init__(self, disk: Disk, daemon: Daemon) -> None:
        self._disk, self._daemon = disk, daemon

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Run the call in the middle of its simulated duration."""
        return self._run(call)

    async def _run(self, call: Callable[[], T]) -> T:
        await asyncio.sleep(self._disk.pause())
        if self._daemon.dead:
            raise asyncio.CancelledError
        result = call()
        await asyncio.sleep(self._disk.pause())
        if self._daemon.dead:
            raise asyncio.CancelledError
        return result
