"""When one server was warm, watched or neither: a step function with fast integrals."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum


class Period(IntEnum):
    """What a period of time counts as."""

    UNWATCHED = 0
    """No daemon ran, the server did not exist, or it was paused."""
    NOT_WARM = 1
    WARM = 2


class Timeline:
    """Edges in order of time (epoch seconds), each with the level after it and the sums of seconds before it.

    An edge takes 25 bytes. The last level has no end.
    """

    __slots__ = ("_levels", "_times", "_warm", "_watched")

    def __init__(self) -> None:
        self._times = array("d")
        self._levels = bytearray()
        self._warm = array("d")
        self._watched = array("d")

    @property
    def level(self) -> Period:
        """Return the level after the last edge."""
        return Period(self._levels[-1]) if self._levels else Period.UNWATCHED

    def set_level(self, at: float, level: Period) -> None:
        """Change the level from `at` on; `at` must not be before the last edge."""
        if level == self.level:
            return
        warm, watched = self._sums(at, len(self._times))
        self._times.append(at)
        self._levels.append(level)
        self._warm.append(warm)
        self._watched.append(watched)

    def integrals(self, points: Sequence[float]) -> tuple[list[float], list[float]]:
        """Return seconds warm and seconds watched before each point (ascending), up to a common constant."""
        warm, watched = [], []
        edge = 0
        for point in points:
            edge = bisect_right(self._times, point, edge)
            sums = self._sums(point, edge)
            warm.append(sums[0])
            watched.append(sums[1])
        return warm, watched

    def _sums(self, at: float, edge: int) -> tuple[float, float]:
        """Return seconds warm and watched before `at`, which lies after `edge` edges."""
        if not edge:
            return 0.0, 0.0
        edge -= 1
        level = self._levels[edge]
        lasted = at - self._times[edge] if level else 0.0
        return self._warm[edge] + (lasted if level == Period.WARM else 0.0), self._watched[edge] + lasted

    def prune(self, horizon: float) -> None:
        """Drop edges that integrals between points after `horizon` do not need."""
        expired = bisect_right(self._times, horizon) - 1
        if expired > 0:
            del self._times[:expired], self._levels[:expired], self._warm[:expired], self._watched[:expired]

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self._times)
