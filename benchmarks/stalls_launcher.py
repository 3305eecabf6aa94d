"""Start the daemon with its garbage collector `tuned`, as usual, or at its `default`.

The first argument is one of the two; the others are those of run.py. On SIGUSR1 the process writes the longest stall
of its event loop since the last signal.
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
    "tuned": short_collections,
    "default": nullcontext,
}


@asynccontextmanager
async def _measured_daemon(path: Path) -> AsyncIterator[Daemon]:
    """Run the daemon, and measure the stalls of its event loop."""
    settings = load_settings(path, {})
    configure_logging(settings.logging)
    async with running_daemon(settings) as daemon:
        meter = StallMeter()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, meter.report)
        measuring = asyncio.create_task(meter.run())
        yield daemon
        measuring.cancel()


class StallMeter:
    """Sleeps repeatedly for TICK_S, and keeps the longest delay beyond that."""

    def __init__(self) -> None:
        self._longest_s = 0.0

    def report(self) -> None:
        """Write the longest stall, and start again from zero."""
        sys.stdout.buffer.write(orjson.dumps({"longest_s": self._longest_s}) + b"\n")
        sys.stdout.buffer.flush()
        self._longest_s = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self._longest_s = max(self._longest_s, time.perf_counter() - due)


if __name__ == "__main__":
    collector, _, settings_path, _ = sys.argv[1:]
    with COLLECTORS[collector]():
        uvloop.run(until_stopped(_measured_daemon(Path(settings_path))))
