"""Keep the garbage collector from stopping the event loop of a large fleet.

A full collection visits every live object, about 150 for each server. At 10,000 servers that stopped the loop for a
second, several times a minute, and took a quarter of the processor time of a start, in which almost nothing is garbage:
of 600,000 objects that the start of 4,000 servers created, 2,000 were. So the objects of the first minute are frozen
without a visit, and later those that survive a full collection; the next collection visits only newer objects.

A frozen object is still freed when its reference count drops to zero; only cycles of frozen objects stay. Whenever
the memory in use has grown by a quarter since everything was visited, one full collection visits everything again, so
garbage is bounded. The size of the process would not do: it does not shrink with the garbage, so where servers come and
go each such collection would wait longer than the last. Counting the frozen objects would be more exact, but walks
through all of them: 150 ms at 10,000 servers.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THRESHOLDS = (500, 3, 1)
"""Of the three generations. With (5000, 10, 5) one collection of the youngest generation took 130 ms: it counts objects
created minus objects freed, and at rest about as many are freed as created, so many may be young by then."""

OLDEST = 2

START_S = 60.0
"""Objects created during this time are assumed to live as long as the process."""

GROWTH = 1.25


@contextmanager
def short_collections(
    clock: Callable[[], float] = time.monotonic, size: Callable[[], int] = sys.getallocatedblocks
) -> Iterator[None]:
    """Keep collections short within the block. `clock` returns seconds, `size` the memory in use, in any unit."""
    before, collector = gc.get_threshold(), _Collector(clock, size)
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(collector.on_gc)
    try:
        yield
    finally:
        gc.callbacks.remove(collector.on_gc)
        gc.set_threshold(*before)
        gc.unfreeze()


class _Collector:
    """Decides before and after each collection what it visits."""

    def __init__(self, clock: Callable[[], float], size: Callable[[], int]) -> None:
        self._clock = clock
        self._size = size
        self._started_at = clock() + START_S
        self._size_at_full: int | None = None
        self._visits_all = False

    def on_gc(self, phase: str, info: dict[str, int]) -> None:
        """Handle a call of `gc.callbacks`; `phase` is `start` or `stop`."""
        is_full = info["generation"] == OLDEST
        if self._clock() < self._started_at or (is_full and phase == "stop"):
            gc.freeze()
            if self._visits_all:
                self._visits_all, self._size_at_full = False, self._size()
        elif is_full:
            self._unfreeze_if_grown()

    def _unfreeze_if_grown(self) -> None:
        size = self._size()
        if self._size_at_full is None:
            self._size_at_full = size
        elif size > self._size_at_full * GROWTH:
            gc.unfreeze()
            self._visits_all = True
