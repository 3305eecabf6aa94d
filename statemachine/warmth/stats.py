"""The figures of servers: windows that end now, and the last hours one by one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from statemachine.warmth.server import ServerWarmth

HOUR_S = 3_600.0

WINDOWS: Mapping[str, float] = {"1h": HOUR_S, "24h": 24 * HOUR_S, "7d": 7 * 24 * HOUR_S}
"""Name in the API and /metrics, and length in seconds."""

TREND_HOURS = 24

SORT_BATCH = 4_096
"""Samples that are sorted in one call, which takes well under a millisecond."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one window. Times are in seconds; None means that the window has no such time."""

    warm_share: float | None
    warmed: int
    time_to_warm_p50_s: float | None
    time_to_warm_p99_s: float | None
    evictions: int
    attempts: int
    failed_attempts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Point:
    """An hour of the day that starts at `at` (epoch seconds). The last one has not ended yet."""

    at: float
    warm_share: float | None


@dataclass(frozen=True, slots=True)
class Scope:
    """The figures of a server, a group or the fleet: one for each of `WINDOWS`, and `TREND_HOURS` points."""

    windows: Mapping[str, Figures]
    trend: Sequence[Point]


class Moments:
    """The bounds of all windows and hours, for one `now` (epoch seconds)."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.starts = [now - length for length in WINDOWS.values()]
        first = now // HOUR_S * HOUR_S - (TREND_HOURS - 1) * HOUR_S
        self.hours = [first + number * HOUR_S for number in range(TREND_HOURS)]
        self.points = sorted({*self.starts, *self.hours, now})


class Samples:
    """Durations in seconds and their quantiles. They are sorted in batches, so as not to block the event loop."""

    def __init__(self) -> None:
        self._batches: list[list[float]] = []
        self._unsorted: list[float] = []

    def add(self, values: Iterable[float]) -> None:
        """Add values, none below 0."""
        self._unsorted += values
        if len(self._unsorted) >= SORT_BATCH:
            self._sort()

    def merge(self, other: "Samples") -> None:
        """Add all values of another object."""
        self._batches += other.batches()

    def batches(self) -> list[list[float]]:
        """Return the batches, each in ascending order."""
        if self._unsorted:
            self._sort()
        return self._batches

    def _sort(self) -> None:
        self._batches.append(sorted(self._unsorted))
        self._unsorted = []

    def quantile(self, share: float) -> float | None:
        """Return the value at the nearest rank, rounded up to a millisecond; None without values."""
        batches = self.batches()
        if not batches:
            return None
        highest_ms = ceil(max(batch[-1] for batch in batches) * 1000)
        rank = max(1, ceil(share * len(self)))
        return bisect_left(range(highest_ms), rank, key=lambda ms: _count_up_to(batches, ms / 1000)) / 1000

    def __len__(self) -> int:
        return len(self._unsorted) + sum(map(len, self._batches))


def _count_up_to(batches: Iterable[list[float]], value: float) -> int:
    return sum(bisect_right(batch, value) for batch in batches)


@dataclass(slots=True)
class _Counts:
    """Attempts, evictions and times to warm in one window."""

    warmed_in: Samples = field(default_factory=Samples)
    evictions: int = 0
    attempts: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    def add(self, server: ServerWarmth, start: float, end: float) -> None:
        """Add what a server has after `start`, up to and including `end`."""
        first, last = bisect_right(server.warmed_at, start), bisect_right(server.warmed_at, end)
        self.warmed_in.add(server.warmed_in[first:last])
        self.evictions += _between(server.evictions, start, end)
        self.attempts += _between(server.attempts, start, end)
        for reason, times in server.failed.items():
            self.count_failed(reason, _between(times, start, end))

    def count_failed(self, reason: str, count: int) -> None:
        """Add to the count of a reason; a count of 0 makes no key."""
        if count:
            self.failed[reason] = self.failed.get(reason, 0) + count

    def merge(self, other: "_Counts") -> None:
        """Add the counts of the same window of other servers."""
        self.warmed_in.merge(other.warmed_in)
        self.evictions += other.evictions
        self.attempts += other.attempts
        for reason, count in other.failed.items():
            self.count_failed(reason, count)


class Totals:
    """Adds servers up to the figures of a scope. `warm` and `watched` are sums of seconds before each point."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self.warm = [0.0] * len(moments.points)
        self.watched = [0.0] * len(moments.points)
        self.counts = [_Counts() for _ in WINDOWS]

    def add(self, server: ServerWarmth) -> None:
        """Add a server."""
        self._add_seconds(*server.timeline.integrals(self._moments.points))
        for counts, start in zip(self.counts, self._moments.starts, strict=True):
            counts.add(server, start, self._moments.now)

    def merge(self, other: "Totals") -> None:
        """Add all servers of other totals, which have the same moments."""
        self._add_seconds(other.warm, other.watched)
        for counts, more in zip(self.counts, other.counts, strict=True):
            counts.merge(more)

    def _add_seconds(self, warm: list[float], watched: list[float]) -> None:
        self.warm = list(map(float.__add__, self.warm, warm))
        self.watched = list(map(float.__add__, self.watched, watched))

    def scope(self) -> Scope:
        """Return the figures of all added servers."""
        moments = self._moments
        windows = {
            name: self._figures(counts, start)
            for name, counts, start in zip(WINDOWS, self.counts, moments.starts, strict=True)
        }
        ends = [*moments.hours[1:], moments.now]
        return Scope(windows, [Point(at, self._share(at, end)) for at, end in zip(moments.hours, ends, strict=True)])

    def _share(self, start: float, end: float) -> float | None:
        first, last = (bisect_right(self._moments.points, point) - 1 for point in (start, end))
        watched = self.watched[last] - self.watched[first]
        return min(1.0, max(0.0, (self.warm[last] - self.warm[first]) / watched)) if watched > 0 else None

    def _figures(self, counts: _Counts, start: float) -> Figures:
        return Figures(
            warm_share=self._share(start, self._moments.now),
            warmed=len(counts.warmed_in),
            time_to_warm_p50_s=counts.warmed_in.quantile(0.5),
            time_to_warm_p99_s=counts.warmed_in.quantile(0.99),
            evictions=counts.evictions,
            attempts=counts.attempts,
            failed_attempts=counts.failed,
        )


def scope_of(servers: Iterable[ServerWarmth], moments: Moments) -> Scope:
    """Return the figures of some servers together."""
    totals = Totals(moments)
    for server in servers:
        totals.add(server)
    return totals.scope()


def _between(times: Sequence[float], start: float, end: float) -> int:
    return bisect_right(times, end) - bisect_right(times, start)
