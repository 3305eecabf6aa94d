"""The campaign in the part of systemd: it kills the daemon if the watchdog is not fed in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

from campaigns.kill.process import DaemonProcess
from tests.support.service_manager import Listener

WATCHDOG_S = 10.0
"""Less than the 60 s of the systemd unit in deploy/."""
POLL_S = 0.1


class Supervisor:
    """Watches one daemon, which sends its notifications to `listener`."""

    def __init__(self, listener: Listener) -> None:
        self.killed = False
        self.listener = listener
        self._ends: list[float] = []

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.listener.address, "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}

    @property
    def longest_gap_s(self) -> float:
        """The longest time between two notifications, or since the last one."""
        times = [*self.listener.fed_at, *self._ends]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    @asynccontextmanager
    async def watching(self, daemon: DaemonProcess) -> AsyncIterator[None]:
        """Watch within the block. The daemon must be running."""
        task = asyncio.create_task(self._watch(daemon))
        try:
            yield
        finally:
            self._ends = [time.monotonic()]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, daemon: DaemonProcess) -> None:
        begun = time.monotonic()
        while time.monotonic() - (self.listener.fed_at or [begun])[-1] < WATCHDOG_S:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(POLL_S)
        self.killed = True
        daemon.kill()
