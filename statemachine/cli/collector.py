"""How the garbage collector is kept from stopping the loop of a large fleet.

A full collection looks at every object that is alive: about 150 for each server. At 10,000 servers that stopped the
loop for 0.3 s and more at a time, and took a quarter of the processor time of a start, in which nothing is garbage: of
600,000 objects that starting 4,000 servers made, 2,000 were. So what comes in the first minute is frozen unseen, and
later whatever survives a full collection, so that the next looks only at what has come since.

What is frozen and dies by its reference count goes at once; only cycles of frozen objects stay. When there are too many
frozen objects, a full collection therefore looks at all of them, once. Counting them walks through them (10 ms for 1.5
million), so it is done only after so many new ones that it could matter.
"""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THRESHOLDS = (5_000, 10, 5)
"""Of the three generations: a full collection looks at 250,000 objects at most, but for the one that looks at all."""

OLDEST = 2

START_S = 60.0
"""So long what comes is taken to stay."""

GROWTH = 1.5
"""How many times the frozen objects of before are too many."""

LEAST_GROWTH = 100_000
"""Objects. Fewer new ones than this are not worth counting."""


@contextmanager
def short_collections(clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Within the block collections are short; `clock` gives seconds."""
    before, collector = gc.get_threshold(), _Collector(clock)
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(collector.heed)
    try:
        yield
    finally:
        gc.callbacks.remove(collector.heed)
        gc.set_threshold(*before)
        gc.unfreeze()


class _Collector:
    """Is told of each collection, and says what it looks at."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_at = clock() + START_S
        self._living: int | None = None
        self._added = 0

    def heed(self, phase: str, info: dict[str, int]) -> None:
        """What `gc.callbacks` calls, with `start` and `stop`."""
        if self._clock() < self._started_at:
            gc.freeze()
        elif info["generation"] == OLDEST and phase == "start":
            self._look_at_all_where_due()
        elif info["generation"] == OLDEST:
            self._added += len(gc.get_objects(generation=OLDEST))
            gc.freeze()

    def _look_at_all_where_due(self) -> None:
        if self._living is not None and self._added < LEAST_GROWTH:
            return
        self._added, frozen = 0, gc.get_freeze_count()
        if self._living is None:
            self._living = frozen
        elif frozen > self._living * GROWTH + LEAST_GROWTH:
            self._living = None
            gc.unfreeze()
