"""Where requests went and why: counts by hour and by server, and the newest decisions.

It covers the last 24 clock hours and is kept in memory. What it holds is bounded by the hours and the servers, not by
the requests. A report of a gateway that is repeated counts once.
"""

from bisect import insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from statemachine.routing.decision import Explanation, Origin, Why

HOURS = 24
HOUR_S = 3600
NEWEST = 100
"""Decisions that are kept whole."""

MAX_GATEWAYS = 100
"""Gateways that are remembered; of more, the one whose report is the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision and when it was made, in epoch seconds."""

    at: float
    origin: Origin
    explanation: Explanation


@dataclass(slots=True)
class Tally:
    """Counts of decisions."""

    reasons: Counter[Why] = field(default_factory=Counter)
    known: int = 0
    """Decisions about requests whose models are known."""
    cold: int = 0
    """Those of them for which models had to be loaded."""

    @property
    def total(self) -> int:
        """The number of decisions."""
        return self.reasons.total()

    @property
    def cold_share(self) -> float | None:
        """The share of requests that had to wait for a load, None if nothing is known."""
        return self.cold / self.known if self.known else None

    def add(self, explanation: Explanation) -> None:
        """Count a decision."""
        self.reasons[explanation.why] += 1
        self.known += explanation.is_cold is not None
        self.cold += explanation.is_cold is True

    def subtract(self, other: "Tally") -> None:
        """Remove the counts of another, which are part of these."""
        self.reasons.subtract(other.reasons)
        self.known -= other.known
        self.cold -= other.cold


@dataclass(slots=True)
class _Hour:
    fleet: Tally = field(default_factory=Tally)
    servers: dict[str, Tally] = field(default_factory=dict)


class DecisionLog:
    """Counts decisions. `now` returns epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hours: dict[int, _Hour] = {}
        self._total = Tally()
        self._servers: dict[str, Tally] = {}
        self._newest: list[Decided] = []
        self._listeners: list[Callable[[Decided], None]] = []
        self._began_at = now()
        """When counting began; a gateway may report what is older."""

    @property
    def since(self) -> float:
        """The time since which decisions are counted."""
        return max(self._began_at, float(self._first_hour() * HOUR_S))

    def add_listener(self, listener: Callable[[Decided], None]) -> None:
        """Call `listener` with every decision, however old it is."""
        self._listeners.append(listener)

    def note(self, origin: Origin, explanation: Explanation, age_s: float = 0.0) -> None:
        """Count a decision that was made this long ago."""
        decided = Decided(self._now() - age_s, origin, explanation)
        for listener in self._listeners:
            listener(decided)
        self._forget_old()
        number = int(decided.at // HOUR_S)
        if number < self._first_hour():
            return
        hour, server = self._hours.setdefault(number, _Hour()), explanation.server
        places = (hour.servers, self._servers)
        for tally in (hour.fleet, self._total, *(place.setdefault(server, Tally()) for place in places)):
            tally.add(explanation)
        self._began_at = min(self._began_at, decided.at)
        insort(self._newest, decided, key=attrgetter("at"))
        del self._newest[:-NEWEST]

    def trend(self) -> list[tuple[float, Tally]]:
        """Return the start and the counts of each hour, oldest first; the last one is still in progress."""
        first = self._first_hour()
        hours = range(first, first + HOURS)
        return [(number * HOUR_S, self._hours[number].fleet if number in self._hours else Tally()) for number in hours]

    def fleet(self) -> Tally:
        """Return the counts of all servers."""
        self._forget_old()
        return self._total

    def servers(self) -> Mapping[str, Tally]:
        """Return the counts of each server to which requests went."""
        self._forget_old()
        return self._servers

    def newest(self) -> Sequence[Decided]:
        """Return the newest decisions, the newest first."""
        return self._newest[::-1]

    def _first_hour(self) -> int:
        return int(self._now() // HOUR_S) - HOURS + 1

    def _forget_old(self) -> None:
        first = self._first_hour()
        for number in [one for one in self._hours if one < first]:
            hour = self._hours.pop(number)
            self._total.subtract(hour.fleet)
            for name, tally in hour.servers.items():
                self._servers[name].subtract(tally)
                if not self._servers[name].total:
                    del self._servers[name]


class GatewayReports:
    """A gateway numbers its decisions from 0 and sends them in order, until it learns that they were counted.

    A daemon that was restarted asks for all that the gateway still has.
    """

    def __init__(self) -> None:
        self._next: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._next)

    def accept(self, gateway: str, oldest: int, first: int, count: int) -> tuple[int, int]:
        """Return how many decisions at the beginning of a report are to be skipped, and the number to send next.

        `oldest` is the number of the oldest decision that the gateway has, `first` that of the first in the report.
        """
        expected = max(self._next.get(gateway, 0), oldest)
        if first > expected:
            skipped = count
        else:
            skipped = min(expected - first, count)
            expected = max(expected, first + count)
        self._next[gateway] = expected
        self._next.move_to_end(gateway)
        while len(self._next) > MAX_GATEWAYS:
            self._next.popitem(last=False)
        return skipped, expected
