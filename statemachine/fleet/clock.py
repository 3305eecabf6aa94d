"""Time for durations: the event loop's own clock, which no step of the wall clock moves."""

import asyncio


def loop_time() -> float:
    """Seconds on the event loop's clock."""
    return asyncio.get_running_loop().time()


class Wakeup:
    """Whoever rests hears it only while he does: what rang before is past."""

    __slots__ = ("_rings",)

    def __init__(self) -> None:
        self._rings: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wake all who rest."""
        if self._rings is not None:
            self._rings.set_result(None)
            self._rings = None

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until it rings."""
        if self._rings is None:
            self._rings = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._rings,), timeout=seconds)
