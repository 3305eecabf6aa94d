"""From servers' saved_states to figures: windows that end now, and the last hours one by one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from statemachine.warmth.server import ServerWarmth

HOUR_S = 3_600.0

WINDOWS: Mapping[str, float] = {"1h": HOUR_S, "24h": 24 * HOUR_S, "7d": 7 * 24 * HOUR_S}
"""Their names, which the API and /metrics use, and their lengths in seconds."""

TREND_HOURS = 24

RUN = 4_096
"""Samples that are sorted at once: well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One window's. Times in seconds; None where the window knows none."""

    warm_share: float | None
    warmed: int
    time_to_warm_p50_s: float | None
    time_to_warm_p99_s: float | None
    evictions: int
    attempts: int
    failed_attempts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Point:
    """An hour by the clock, `at` being its start (epoch seconds). The last one has not ended yet."""

    at: float
    warm_share: float | None


@dataclass(frozen=True, slots=True)
class Scope:
    """The figures of a server, a group or the fleet: one for each of `WINDOWS`, and `TREND_HOURS` points."""

    windows: Mapping[str, Figures]
    trend: Sequence[Point]


class Moments:
    """The moments between which warmth is summed up, for one `now` (epoch seconds)."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.starts = [now - length for length in WINDOWS.values()]
        first = now // HOUR_S * HOUR_S - (TREND_HOURS - 1) * HOUR_S
        self.hours = [first + number * HOUR_S for number in range(TREND_HOURS)]
        self.points = sorted({*self.starts, *self.hours, now})


class Samples:
    """Seconds, of which quantiles are asked. Sorted run by run, for to sort all at once would hold the loop."""

    def __init__(self) -> None:
        self._runs: list[list[float]] = []
        self._unsorted: list[float] = []

    def add(self, values: Iterable[float]) -> None:
        """Some more, none below 0."""
        self._unsorted += values
        if len(self._unsorted) >= RUN:
            self._sort()

    def merge(self, other: "Samples") -> None:
        """All that another one has."""
        self._runs += other.runs()

    def runs(self) -> list[list[float]]:
        """All of them, each run ascending."""
        if self._unsorted:
            self._sort()
        return self._runs

    def _sort(self) -> None:
        self._runs.append(sorted(self._unsorted))
        self._unsorted = []

    def quantile(self, share: float) -> float | None:
        """The nearest rank: the smallest value that this share of all does not exceed, rounded up to a millisecond."""
        runs = self.runs()
        if not runs:
            return None
        highest_ms = ceil(max(run[-1] for run in runs) * 1000)
        rank = max(1, ceil(share * len(self)))
        return bisect_left(range(highest_ms), rank, key=lambda ms: _not_above(runs, ms / 1000)) / 1000

    def __len__(self) -> int:
        return len(self._unsorted) + sum(map(len, self._runs))


def _not_above(runs: Iterable[list[float]], value: float) -> int:
    return sum(bisect_right(run, value) for run in runs)


@dataclass(slots=True)
class _Happened:
    """What happened in one window."""

    warmed_in: Samples = field(default_factory=Samples)
    evictions: int = 0
    attempts: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    def add(self, server: ServerWarmth, start: float, end: float) -> None:
        """After `start`, up to and with `end`."""
        first, last = bisect_right(server.warmed_at, start), bisect_right(server.warmed_at, end)
        self.warmed_in.add(server.warmed_in[first:last])
        self.evictions += _between(server.evictions, start, end)
        self.attempts += _between(server.attempts, start, end)
        for reason, times in server.failed.items():
            self.count_failed(reason, _between(times, start, end))

    def count_failed(self, reason: str, count: int) -> None:
        """Add to a reason's count; a reason that never came has none."""
        if count:
            self.failed[reason] = self.failed.get(reason, 0) + count

    def merge(self, other: "_Happened") -> None:
        """Add what happened elsewhere in the same window."""
        self.warmed_in.merge(other.warmed_in)
        self.evictions += other.evictions
        self.attempts += other.attempts
        for reason, count in other.failed.items():
            self.count_failed(reason, count)


class Totals:
    """Adds servers up to the figures of a scope. `warm` and `watched` are sums of seconds before each moment."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self.warm = [0.0] * len(moments.points)
        self.watched = [0.0] * len(moments.points)
        self.happened = [_Happened() for _ in WINDOWS]

    def add(self, server: ServerWarmth) -> None:
        """One server more."""
        self._add_seconds(*server.timeline.integrals(self._moments.points))
        for happened, start in zip(self.happened, self._moments.starts, strict=True):
            happened.add(server, start, self._moments.now)

    def merge(self, other: "Totals") -> None:
        """All servers of another totals of the same moments."""
        self._add_seconds(other.warm, other.watched)
        for happened, more in zip(self.happened, other.happened, strict=True):
            happened.merge(more)

    def _add_seconds(self, warm: list[float], watched: list[float]) -> None:
        self.warm = list(map(float.__add__, self.warm, warm))
        self.watched = list(map(float.__add__, self.watched, watched))

    def scope(self) -> Scope:
        """The figures of all that was added."""
        moments = self._moments
        windows = {
            name: self._figures(happened, start)
            for name, happened, start in zip(WINDOWS, self.happened, moments.starts, strict=True)
        }
        ends = [*moments.hours[1:], moments.now]
        return Scope(windows, [Point(at, self._share(at, end)) for at, end in zip(moments.hours, ends, strict=True)])

    def _share(self, start: float, end: float) -> float | None:
        first, last = (bisect_right(self._moments.points, point) - 1 for point in (start, end))
        watched = self.watched[last] - self.watched[first]
        return min(1.0, max(0.0, (self.warm[last] - self.warm[first]) / watched)) if watched > 0 else None

    def _figures(self, happened: _Happened, start: float) -> Figures:
        return Figures(
            warm_share=self._share(start, self._moments.now),
            warmed=len(happened.warmed_in),
            time_to_warm_p50_s=happened.warmed_in.quantile(0.5),
            time_to_warm_p99_s=happened.warmed_in.quantile(0.99),
            evictions=happened.evictions,
            attempts=happened.attempts,
            failed_attempts=happened.failed,
        )


def scope_of(servers: Iterable[ServerWarmth], moments: Moments) -> Scope:
    """The figures of some servers taken together."""
    totals = Totals(moments)
    for server in servers:
        totals.add(server)
    return totals.scope()


def _between(times: Sequence[float], start: float, end: float) -> int:
    return bisect_right(times, end) - bisect_right(times, start)
