"""When one server was warm, watched without being warm, or neither: a step function that can be integrated quickly."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from enum import IntEnum


class Level(IntEnum):
    """What a moment counts as."""

    APART = 0
    """Not watched: no daemon, no such server, or paused."""
    COOL = 1
    WARM = 2


class Timeline:
    """Edges in the order of time, each with the level from there on and the seconds summed up before it.

    25 bytes an edge. Times are epoch seconds. The last level lasts until whenever is asked.
    """

    __slots__ = ("_levels", "_times", "_warm", "_watched")

    def __init__(self) -> None:
        self._times = array("d")
        self._levels = bytearray()
        self._warm = array("d")
        self._watched = array("d")

    @property
    def level(self) -> Level:
        """The present one."""
        return Level(self._levels[-1]) if self._levels else Level.APART

    def turn(self, at: float, level: Level) -> None:
        """From `at` on it is another level. `at` is never before an earlier edge."""
        if level == self.level:
            return
        warm, watched = self._sums(at, len(self._times))
        self._times.append(at)
        self._levels.append(level)
        self._warm.append(warm)
        self._watched.append(watched)

    def integrals(self, points: Sequence[float]) -> tuple[list[float], list[float]]:
        """Seconds warm and seconds watched before each point (ascending), counted from some common beginning."""
        warm, watched = [], []
        edge = 0
        for point in points:
            edge = bisect_right(self._times, point, edge)
            sums = self._sums(point, edge)
            warm.append(sums[0])
            watched.append(sums[1])
        return warm, watched

    def _sums(self, at: float, edge: int) -> tuple[float, float]:
        """Seconds warm and watched before `at`, which lies after so many edges."""
        if not edge:
            return 0.0, 0.0
        edge -= 1
        level = self._levels[edge]
        lasted = at - self._times[edge] if level else 0.0
        return self._warm[edge] + (lasted if level == Level.WARM else 0.0), self._watched[edge] + lasted

    def forget_before(self, horizon: float) -> None:
        """Drop edges that no integral between points after `horizon` needs."""
        gone = bisect_right(self._times, horizon) - 1
        if gone > 0:
            del self._times[:gone], self._levels[:gone], self._warm[:gone], self._watched[:gone]

    def __len__(self) -> int:
        return len(self._times)
