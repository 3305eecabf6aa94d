"""Time for durations: the event loop's own clock, which no step of the wall clock moves."""

import asyncio


def loop_time() -> float:
    """Seconds on the event loop's clock."""
    return asyncio.get_running_loop().time()
