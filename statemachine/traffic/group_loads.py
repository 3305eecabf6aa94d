"""What each group of servers has to do: waiting prompts, arrivals and run times, from the lengths of the queues.

Prompts of our own warm-ups, and of servers that load by themselves, do not count.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from statemachine.core.server import LiveFigures, ServerView
from statemachine.core.vocabulary import IN_FLIGHT, NEW_PROCESS, State
from statemachine.publish.snapshot import Snapshot
from statemachine.routing.wanted import (
    Arrivals,
    GroupLoad,
    Runs,
    Steady,
    WantedCount,
    WantedReason,
    mean_wait_s,
    wanted,
)

_BROKEN = frozenset({State.UNREACHABLE, State.FAILED, State.PAUSED})
_OWN_WORK = frozenset({*IN_FLIGHT, State.AUTO_EXECUTING})
_UNCOUNTED = frozenset({*_BROKEN, *_OWN_WORK, State.RESTARTING})
"""States in which the queue becomes longer or shorter without a user's prompt."""

MOST_EMPTY = 100
"""Groups without servers that are remembered."""

Workflows = Collection[str]
"""Names of the workflows of a server."""


@dataclass(slots=True)
class _SeenQueue:
    """A server's queue as it was seen last; `started_at` is when its running prompt began, None if that is unknown."""

    group: str
    length: int | None = None
    started_at: float | None = None
    has_own_work: bool = False


@dataclass(slots=True)
class _Observed:
    """What was observed of a group. `steady` begins when its demand is first asked for.

    `least` is the number of servers that its workflows needed while it had some. `may_return`: a source has named some.
    """

    arrivals: Arrivals
    runs: Runs = field(default_factory=Runs)
    steady: Steady | None = None
    least: int = 1
    may_return: bool = False


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

    `clock` returns seconds of a monotonic clock, `target_s` is the longest mean wait. `named` returns the groups that
    may have no server yet, with the workflows of those to come. `is_discovered` returns whether a source has named the
    server: its group may be empty for a while.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        clock: Callable[[], float],
        target_s: float,
        named: Callable[[], Mapping[str, Sequence[Workflows]]] = dict,
        is_discovered: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.target_s = target_s
        self._named = named
        self._is_discovered = is_discovered
        self._snapshot = snapshot
        self._clock = clock
        self._queues: dict[str, _SeenQueue] = {}
        self._observed: dict[str, _Observed] = {}
        self._follows = False

    def demands(self) -> list[GroupDemand]:
        """Return the demand of every group, by name; also of those that have no server any more, or not yet."""
        self._follow()
        groups = defaultdict[str, list[ServerView]](list)
        for view in self._snapshot:
            groups[view.group].append(view)
        named = self._named()
        for name in named:
            self._observe(name)
        return [self._demand(name, groups[name], named.get(name, ())) for name in sorted(self._observed)]

    def _follow(self) -> None:
        if not self._follows:
            self._follows = True
            for view in self._snapshot:
                self.on_view(view)
            self._snapshot.add_follower(self)

    def _observe(self, group: str) -> _Observed:
        return self._observed.setdefault(group, _Observed(Arrivals(self._clock())))

    def _demand(self, group: str, views: Sequence[ServerView], named: Sequence[Workflows]) -> GroupDemand:
        at, observed = self._clock(), self._observed[group]
        if views or named:
            observed.least = least_cover([view.workflows for view in views] or named)
        usable = [view for view in views if view.state not in _BROKEN]
        lengths = [self._queues[view.name].length for view in usable if view.state is State.LOADED]
        known = [length for length in lengths if length is not None]
        waiting = sum(max(0, (self._queues[view.name].length or 0) - 1) for view in usable)
        load = GroupLoad(
            observed.least,
            waiting,
            observed.arrivals.per_s(at),
            observed.runs.mean_s,
            has_queues=2 * len(known) >= len(lengths),
        )
        if observed.steady is None:
            observed.steady = Steady(len(usable), at)
        count = wanted(load, self.target_s)
        if not views and count.count is None:
            count = WantedCount(load.least, WantedReason.WORKFLOWS)
        found = observed.steady.hold(count, at)
        return GroupDemand(group, len(usable), len(lengths), load, found, _wait_s(len(usable), load))

    # Called by the snapshot.

    def on_view(self, view: ServerView) -> None:
        """Apply the view of a server after a change."""
        queue = self._queues.get(view.name)
        if queue is None or queue.group != view.group:
            queue = self._queues[view.name] = _SeenQueue(view.group)
            self._observe(view.group).may_return |= self._is_discovered(view.name)
        if view.state in _UNCOUNTED or view.reason in NEW_PROCESS:
            queue.length, queue.started_at = None, None
        queue.has_own_work = view.state in _OWN_WORK or (queue.has_own_work and view.state is not State.LOADED)
        self._seen(queue, view.queue_remaining)

    def on_live(self, name: str, live: LiveFigures) -> None:
        """Apply live figures of a server."""
        if (queue := self._queues.get(name)) is not None:
            self._seen(queue, live.queue_remaining)

    def on_order(self, names: Sequence[str]) -> None:
        """Forget the servers that left the fleet, and their groups, unless a source may name others in them."""
        for name in self._queues.keys() - set(names):
            del self._queues[name]
        present = {queue.group for queue in self._queues.values()}
        empty = [group for group in self._observed if group not in present]
        kept = [group for group in empty if self._observed[group].may_return][-MOST_EMPTY:]
        for group in set(empty).difference(kept):
            del self._observed[group]

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


def least_cover(workflows: Iterable[Workflows]) -> int:
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
