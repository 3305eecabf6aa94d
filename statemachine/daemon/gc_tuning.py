"""How the garbage collector is kept from stopping the loop of a large fleet.

A full collection looks at every object that is alive: about 150 for each server. At 10,000 servers that stopped the
loop for a second, several times a minute, and took a quarter of the processor time of a start, in which nothing is
garbage: of 600,000 objects that starting 4,000 servers made, 2,000 were. So what comes in the first minute is frozen
unseen, and later whatever survives a full collection, so that the next looks only at what has come since.

What is frozen and dies by its reference count goes at once; only cycles of frozen objects stay. Whenever the process
has grown by a quarter, a full collection therefore looks at everything, once: so garbage is bounded. (To count the
frozen objects would tell more, but walks through them: 150 ms at 10,000 servers.)
"""

import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THRESHOLDS = (500, 3, 1)
"""Of the three generations. The first is the surplus of objects made over objects gone, and at rest about as many go as
come: many more new ones may be there by then. With (5000, 10, 5) the youngest generation alone took 130 ms."""

OLDEST = 2

START_S = 60.0
"""So long what comes is taken to stay."""

GROWTH = 1.25


def largest_size() -> int:
    """The most memory that this process has had, in a unit of the system's."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def short_collections(
    clock: Callable[[], float] = time.monotonic, size: Callable[[], int] = largest_size
) -> Iterator[None]:
    """Within the block collections are short; `clock` gives seconds, `size` the process's."""
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
    """Is told of each collection, and says what it looks at."""

    def __init__(self, clock: Callable[[], float], size: Callable[[], int]) -> None:
        self._clock = clock
        self._size = size
        self._started_at = clock() + START_S
        self._looked_at_size: int | None = None

    def on_gc(self, phase: str, info: dict[str, int]) -> None:
        """What `gc.callbacks` calls, with `start` and `stop`."""
        is_full = info["generation"] == OLDEST
        if self._clock() < self._started_at or (is_full and phase == "stop"):
            gc.freeze()
        elif is_full:
            self._look_at_all_where_due()

    def _look_at_all_where_due(self) -> None:
        size = self._size()
        if self._looked_at_size is None:
            self._looked_at_size = size
        elif size > self._looked_at_size * GROWTH:
            gc.unfreeze()
            self._looked_at_size = size
