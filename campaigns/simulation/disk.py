"""The journal's disk: a real SQLite file, written on the loop's own thread, slow or full on request."""

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
    """Hears of every attempt to write."""

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None: ...

    def not_written(self) -> None: ...


class Disk:
    """What lies beneath the journals of all lives of a daemon."""

    def __init__(self, path: Path, rng: Random, watcher: DiskWatcher) -> None:
        self.path, self.watcher = path, watcher
        self.full = False
        self.slow_s = 0.0
        self._rng = rng

    def pause(self) -> float:
        """Seconds that half of a call takes."""
        return QUICK_S + self.slow_s * self._rng.random()


class WatchedStore(JournalStore):
    """The real store on that disk."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.path)
        self._disk = disk

    @override
    def write(self, batch: Sequence[Write]) -> list[int | None]:
        """See JournalStore."""
        if self._disk.full:
            self._disk.watcher.not_written()
            raise sqlite3.OperationalError("database or disk is full")
        numbers = super().write(batch)
        self._disk.watcher.committed(batch, numbers)
        return numbers


class InLoop:
    """The journal's `Runner`: no thread. After the death of its life nothing is carried out any more."""

    def __init__(self, disk: Disk, daemon: Daemon) -> None:
        self._disk, self._daemon = disk, daemon

    def __call__(self, call: Callable[[], T]) -> Awaitable[T]:
        """Somewhere within the time that it takes, the call is carried out."""
        return self._carry_out(call)

    async def _carry_out(self, call: Callable[[], T]) -> T:
        await asyncio.sleep(self._disk.pause())
        if self._daemon.dead:
            raise asyncio.CancelledError
        result = call()
        await asyncio.sleep(self._disk.pause())
        if self._daemon.dead:
            raise asyncio.CancelledError
        return result
