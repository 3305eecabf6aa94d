"""How many servers a group needs so that its prompts wait no longer than a target.

Prompts that arrive at random and are spread well over the servers wait as in a common queue (M/M/c, Erlang's formula).
What waits already must start within the target, too.
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from statemachine.routing.averages import Average

RATE_SPAN_S = 900.0
"""Time over which arrivals are averaged."""
OBSERVED_S = 300.0
"""Time of observation before rates count as known."""
FEWEST_RUNS = 3
"""Prompts that must have ended before run times count as known."""
HOLD_S = 600.0
"""A number falls only after it was lower for this long, so that servers do not come and go with each prompt."""
MOST = 20_000
"""The greatest number that is computed."""


class WantedReason(StrEnum):
    """What decides the number of servers. The last ones say why it is unknown."""

    ARRIVALS = "arrivals"
    WAITING = "waiting"
    WORKFLOWS = "workflows"
    RECENT = "recent"
    OBSERVING = "observing"
    NO_RUN_TIMES = "no_run_times"
    QUEUES_UNSEEN = "queues_unseen"


@dataclass(frozen=True, slots=True)
class GroupLoad:
    """What is known of a group. `least` is the number of servers that its workflows need."""

    least: int
    waiting: int
    arrivals_per_s: float | None
    run_s: float | None
    has_queues: bool = True


@dataclass(frozen=True, slots=True)
class WantedCount:
    """A number of servers, None if it is unknown, and why."""

    count: int | None
    reason: WantedReason


def mean_wait_s(servers: int, busy: float, run_s: float) -> float:
    """Return the mean wait for `servers` of which `busy` are needed on average; infinite if they are too few."""
    if servers <= busy:
        return math.inf
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = busy * blocked / (count + busy * blocked)
    return _wait_s(blocked, servers, busy, run_s)


def _wait_s(blocked: float, servers: int, busy: float, run_s: float) -> float:
    """Return the mean wait by the share of prompts that would be turned away if there were no queue (Erlang B)."""
    share = blocked / (1.0 - busy / servers * (1.0 - blocked))
    return share * run_s / (servers - busy)


def least_servers(busy: float, run_s: float, target_s: float) -> int:
    """Return the least number of servers whose mean wait is within the target."""
    blocked = 1.0
    for count in range(1, MOST + 1):
        blocked = busy * blocked / (count + busy * blocked)
        if count > busy and _wait_s(blocked, count, busy, run_s) <= target_s:
            return count
    return MOST


def wanted(load: GroupLoad, target_s: float) -> WantedCount:
    """Return how many servers the group needs at present."""
    if not load.has_queues:
        return WantedCount(None, WantedReason.QUEUES_UNSEEN)
    if load.arrivals_per_s is None:
        return WantedCount(None, WantedReason.OBSERVING)
    if load.run_s is None:
        if load.waiting or load.arrivals_per_s * RATE_SPAN_S >= 1.0:
            return WantedCount(None, WantedReason.NO_RUN_TIMES)
        return WantedCount(load.least, WantedReason.WORKFLOWS)
    arriving = least_servers(load.arrivals_per_s * load.run_s, load.run_s, target_s) if load.arrivals_per_s else 0
    waiting = min(math.ceil(load.waiting * load.run_s / target_s), MOST)
    bounds = ((load.least, WantedReason.WORKFLOWS), (arriving, WantedReason.ARRIVALS), (waiting, WantedReason.WAITING))
    return WantedCount(*max(bounds, key=lambda one: one[0]))


class Steady:
    """Holds a number until it was lower for HOLD_S. It rises at once. `count` is the one to begin with."""

    def __init__(self, count: int, at: float) -> None:
        self._recent: deque[tuple[float, int]] = deque([(at, count)])

    def hold(self, found: WantedCount, at: float) -> WantedCount:
        """Return the greatest number of the last HOLD_S, this one included. An unknown number stays unknown."""
        if found.count is None:
            return found
        while self._recent and self._recent[-1][1] <= found.count:
            self._recent.pop()
        self._recent.append((at, found.count))
        while at - self._recent[0][0] > HOLD_S:
            self._recent.popleft()
        greatest = self._recent[0][1]
        return found if greatest == found.count else WantedCount(greatest, WantedReason.RECENT)


class Arrivals:
    """The rate of arrivals, which forgets."""

    def __init__(self, at: float) -> None:
        self._began_at = self._at = at
        self._count = 0.0

    def arrived(self, count: int, at: float) -> None:
        """Include prompts that have arrived."""
        self._count = self._faded(at) + count
        self._at = at

    def per_s(self, at: float) -> float | None:
        """Return the rate, None if it was not observed for long enough."""
        observed_s = at - self._began_at
        if observed_s < OBSERVED_S:
            return None
        return self._faded(at) / (RATE_SPAN_S * -math.expm1(-observed_s / RATE_SPAN_S))

    def _faded(self, at: float) -> float:
        return self._count * math.exp(-max(0.0, at - self._at) / RATE_SPAN_S)


class Runs:
    """Run times of prompts, which forget."""

    def __init__(self) -> None:
        self._average = Average()

    def observe(self, seconds: float) -> None:
        """Include the run of a prompt."""
        self._average.observe(max(0.0, seconds))

    @property
    def mean_s(self) -> float | None:
        """The mean, None if too few prompts have ended."""
        return self._average.mean if self._average.count >= FEWEST_RUNS else None
