"""What each group of servers has to do: waiting prompts, arrivals and run times, from the lengths of the queues.

Prompts of our own warm-ups, and of servers that load by themselves, do not count.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from statemachine.core.server import LiveFigures, ServerView
from statemachine.core.vocabulary import IN_FLIGHT, Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.routing.wanted import Arrivals, GroupLoad, Runs, Steady, WantedCount, mean_wait_s, wanted

_BROKEN = frozenset({State.UNREACHABLE, State.FAILED, State.PAUSED})
_OWN_WORK = frozenset({*IN_FLIGHT, State.AUTO_EXECUTING})
_UNCOUNTED = frozenset({*_BROKEN, *_OWN_WORK, State.RESTARTING})
"""States in which the queue becomes longer or shorter without a user's prompt."""


@dataclass(slots=True)
class _SeenQueue:
    """A server's queue as it was seen last; `started_at` is when its running prompt began, None if that is unknown."""

    group: str
    length: int | None = None
    started_at: float | None = None
    has_own_work: bool = False


@dataclass(slots=True)
class _Observed:
    """What was observed of a group. `steady` begins when its demand is first asked for."""

    arrivals: Arrivals
    runs: Runs = field(default_factory=Runs)
    steady: Steady | None = None


@dataclass(frozen=True, slots=True)
class GroupDemand:
    """How many servers a group has, and how many it needs. `servers` leaves out those that cannot be used.

    `wait_s` is the mean wait that they are expected to give, None if it is unknown or they are too few.
    """

    group: str
    servers: int
    loaded: int
    load: GroupLoad
    wanted: WantedCount
    wait_s: float | None


class GroupLoads:
    """Follows the snapshot from the first question on, because queues change with most frames of a busy fleet.

    `clock` returns seconds of a monotonic clock, `target_s` is the longest mean wait.
    """

    def __init__(self, snapshot: Snapshot, clock: Callable[[], float], target_s: float) -> None:
        self.target_s = target_s
        self._snapshot = snapshot
        self._clock = clock
        self._queues: dict[str, _SeenQueue] = {}
        self._observed: dict[str, _Observed] = {}
        self._follows = False

    def demands(self) -> list[GroupDemand]:
        """Return the demand of every group, by name."""
        self._follow()
        groups = defaultdict[str, list[ServerView]](list)
        for view in self._snapshot:
            groups[view.group].append(view)
        for name in self._observed.keys() - groups.keys():
            del self._observed[name]
        return [self._demand(name, groups[name]) for name in sorted(groups)]

    def _follow(self) -> None:
        if not self._follows:
            self._follows = True
            for view in self._snapshot:
                self.on_view(view)
            self._snapshot.add_follower(self)

    def _demand(self, group: str, views: Sequence[ServerView]) -> GroupDemand:
        at, observed = self._clock(), self._observed[group]
        usable = [view for view in views if view.state not in _BROKEN]
        lengths = [self._queues[view.name].length for view in usable if view.state is State.LOADED]
        known = [length for length in lengths if length is not None]
        waiting = sum(max(0, (self._queues[view.name].length or 0) - 1) for view in usable)
        load = GroupLoad(
            least_cover(view.workflows for view in views),
            waiting,
            observed.arrivals.per_s(at),
            observed.runs.mean_s,
            has_queues=2 * len(known) >= len(lengths),
        )
        if observed.steady is None:
            observed.steady = Steady(len(usable), at)
        found = observed.steady.hold(wanted(load, self.target_s), at)
        return GroupDemand(group, len(usable), len(lengths), load, found, _wait_s(len(usable), load))

    # Called by the snapshot.

    def on_view(self, view: ServerView) -> None:
        """Apply the view of a server after a change."""
        queue = self._queues.get(view.name)
        if queue is None or queue.group != view.group:
            queue = self._queues[view.name] = _SeenQueue(view.group)
            self._observed.setdefault(view.group, _Observed(Arrivals(self._clock())))
        if view.state in _UNCOUNTED or view.reason is Reason.SERVER_RESTARTED:
            queue.length, queue.started_at = None, None
        queue.has_own_work = view.state in _OWN_WORK or (queue.has_own_work and view.state is not State.LOADED)
        self._seen(queue, view.queue_remaining)

    def on_live(self, name: str, live: LiveFigures) -> None:
        """Apply live figures of a server."""
        if (queue := self._queues.get(name)) is not None:
            self._seen(queue, live.queue_remaining)

    def on_order(self, names: Sequence[str]) -> None:
        """Forget the servers that are not in the fleet any more."""
        for name in self._queues.keys() - set(names):
            del self._queues[name]

    def _seen(self, queue: _SeenQueue, length: int | None) -> None:
        before, queue.length = queue.length, length
        if length == before:
            return
        if length is None or before is None or queue.has_own_work:
            queue.started_at = None
        elif length > before:
            self._arrived(queue, length - before, is_first=before == 0)
        elif length < before:
            self._ended(queue)

    def _arrived(self, queue: _SeenQueue, count: int, *, is_first: bool) -> None:
        at = self._clock()
        self._observed[queue.group].arrivals.arrived(count, at)
        if is_first:
            queue.started_at = at

    def _ended(self, queue: _SeenQueue) -> None:
        at = self._clock()
        if queue.started_at is not None:
            self._observed[queue.group].runs.observe(at - queue.started_at)
        queue.started_at = at if queue.length else None


def least_cover(workflows: Iterable[Collection[str]]) -> int:
    """Return a number of servers that suffices to keep every workflow warm, at least 1."""
    sets = {frozenset(one) for one in workflows}
    missing = frozenset[str]().union(*sets)
    count = 0
    while missing:
        missing -= max(sets, key=lambda one: len(one & missing))
        count += 1
    return max(1, count)


def _wait_s(servers: int, load: GroupLoad) -> float | None:
    if load.arrivals_per_s is None or load.run_s is None:
        return None
    wait_s = mean_wait_s(servers, load.arrivals_per_s * load.run_s, load.run_s)
    return wait_s if math.isfinite(wait_s) else None
