"""Durations on the event loop's clock, which a step of the wall clock does not move, and a way to wake waiters."""

import asyncio


def loop_time() -> float:
    """Return seconds on the event loop's clock."""
    return asyncio.get_running_loop().time()


class Wakeup:
    """Wake current waiters only; earlier notifications are not stored.

    An asyncio.Event would do, but takes 760 bytes for a queue of waiters that is nearly always empty.
    """

    __slots__ = ("_waiter",)

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wake all current waiters."""
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None

    async def wait(self, seconds: float) -> None:
        """Wait for a notification, at most `seconds`."""
        if self._waiter is None:
            self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._waiter,), timeout=seconds)
