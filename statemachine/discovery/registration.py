"""Servers that register themselves, and do so again at every heartbeat."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from statemachine.discovery.source import Report
from statemachine.discovery.target import MAX_TARGETS, Listing, Target

MISSED = 3
"""Heartbeats after which a server that has sent none has vanished."""

SETTLE_S = 0.2
"""Changes within this time are reported together."""


class Registrations:
    """The servers that have registered lately. It is the source of the kind `register`."""

    def __init__(self, heartbeat_s: float) -> None:
        self.heartbeat_s = heartbeat_s
        self._seen: dict[str, tuple[Target, float]] = {}
        self._changed = asyncio.Event()

    def restore(self, targets: Iterable[Target]) -> None:
        """Count the servers of an earlier run as registered now: their next heartbeats come soon."""
        now = _loop_time()
        self._seen = {target.key: (target, now) for target in targets}

    def register(self, target: Target) -> bool:
        """Note a heartbeat; return whether there is room for the server."""
        known = self._seen.pop(target.key, None)
        if known is None and len(self._seen) >= MAX_TARGETS:
            return False
        self._seen[target.key] = target, _loop_time()  # moved to the end: the oldest heartbeat is the first
        if known is None or known[0] != target:
            self._changed.set()
        return True

    async def run(self, report: Report) -> None:
        """Report the registered servers whenever some came, changed or vanished, until cancelled."""
        while True:
            self._changed.clear()
            self._forget_silent()
            report(Listing(tuple(target for target, _ in self._seen.values())))
            await self._wait_for_change()
            await asyncio.sleep(SETTLE_S)

    async def _wait_for_change(self) -> None:
        while not (self._changed.is_set() or self._is_silent()):
            oldest = next(iter(self._seen.values()), None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if oldest is None else oldest[1] + self._patience_s):
                    await self._changed.wait()

    def _is_silent(self) -> bool:
        oldest = next(iter(self._seen.values()), None)
        return oldest is not None and oldest[1] + self._patience_s <= _loop_time()

    def _forget_silent(self) -> None:
        while self._is_silent():
            del self._seen[next(iter(self._seen))]

    @property
    def _patience_s(self) -> float:
        return MISSED * self.heartbeat_s


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
