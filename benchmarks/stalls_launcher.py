"""Starts the daemon with its garbage collector `kept_short`, as it always is, or `left_alone`: the first argument.

The others are those of run.py. On SIGUSR1 it writes the longest stall of its loop since the last time, or the start.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import orjson
import uvloop

from statemachine.daemon.app import Daemon, running_daemon, until_stopped
from statemachine.daemon.gc_tuning import short_collections
from statemachine.daemon.logging import configure_logging
from statemachine.settings import load_settings

TICK_S = 0.005
COLLECTORS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "kept_short": short_collections,
    "left_alone": nullcontext,
}


@asynccontextmanager
async def _watched(path: Path) -> AsyncIterator[Daemon]:
    """The daemon, and what measures its loop."""
    settings = load_settings(path, {})
    configure_logging(settings.logging)
    async with running_daemon(settings) as daemon:
        watch = _Watch()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, watch.tell)
        watching = asyncio.create_task(watch.run())
        yield daemon
        watching.cancel()


class _Watch:
    """Sleeps briefly again and again, and remembers how much too late it was woken at worst."""

    def __init__(self) -> None:
        self._longest_s = 0.0

    def tell(self) -> None:
        """Write it, and forget it."""
        sys.stdout.buffer.write(orjson.dumps({"longest_s": self._longest_s}) + b"\n")
        sys.stdout.buffer.flush()
        self._longest_s = 0.0

    async def run(self) -> None:
        """For ever."""
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self._longest_s = max(self._longest_s, time.perf_counter() - due)


if __name__ == "__main__":
    collector, _, settings_path, _ = sys.argv[1:]
    with COLLECTORS[collector]():
        uvloop.run(until_stopped(_watched(Path(settings_path))))
