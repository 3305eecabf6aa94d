"""The current state of the whole fleet."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from statemachine.core.messages import Message
from statemachine.core.restart import Restart
from statemachine.core.server import LiveFigures, ServerView
from statemachine.core.vocabulary import State


@dataclass(slots=True)
class CheckDetail:
    """The latest check: its kind, its time (epoch seconds), its duration (ms) and the raw response."""

    kind: str | None = None
    at: float | None = None
    ms: float | None = None
    raw: str | None = None


@dataclass(slots=True)
class LinkDetail:
    """The /ws connection: whether it delivers messages, since when (epoch seconds), and the latest error."""

    connected: bool = False
    since: float | None = None
    connects: int = 0
    trouble: Message | None = None


@dataclass(slots=True)
class ServerDetail:
    """Details for /api/detailed_status, which the server's task updates in place.

    `system` holds `version`, `devices` and other values of /system_stats; `counters` start at 0 with the daemon.
    """

    link: LinkDetail = field(default_factory=LinkDetail)
    check: CheckDetail = field(default_factory=CheckDetail)
    system: Mapping[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, counter: str) -> int:
        """Add 1 to a counter; return its new value."""
        self.counters[counter] = value = self.counters.get(counter, 0) + 1
        return value


class Follower(Protocol):
    """Follows the snapshot, one call for each visible change. Calls must be quick and must not raise."""

    def on_view(self, view: ServerView) -> None:
        """Apply the new view of a server."""
        ...

    def on_live(self, name: str, live: LiveFigures) -> None:
        """Apply new live figures of a server."""
        ...

    def on_order(self, names: Sequence[str]) -> None:
        """Apply that these are the servers of the fleet."""
        ...


class Snapshot:
    """The latest view of each server, in the order of the settings. The fleet writes it, many components read it.

    Live figures change with most frames, but views are read rarely, so they are merged into a view when it is read.
    Figures of a state whose view has not arrived yet, because it is being committed, wait for it.
    """

    def __init__(self) -> None:
        self._views: dict[str, ServerView] = {}
        self._live: dict[str, LiveFigures] = {}
        self._early: dict[str, tuple[State, float, LiveFigures]] = {}
        self._details: dict[str, ServerDetail] = {}
        self._counts: Counter[State] = Counter()
        self._restarting: dict[str, tuple[str, str | None]] = {}
        """The servers that are being restarted, with their groups and hosts."""
        self._without_verdict: set[str] = set()
        self._is_shown = False
        self._followers: list[Follower] = []
        self.changes = 0
        """Incremented with each visible change."""

    def add_follower(self, follower: Follower) -> None:
        """Call the follower at each change from now on."""
        self._followers.append(follower)

    def put_committed(self, view: ServerView) -> ServerView:
        """Replace the view of one server by an entry's, which may have waited to be committed; return what is shown.

        Figures of the same state that were published meanwhile stay.
        """
        shown = self.get(view.name)
        if shown is not None and (shown.state, shown.since) == (view.state, view.since):
            view = view._replace(**shown.live._asdict())
        self.put(view)
        return self._views[view.name]

    def put(self, view: ServerView) -> None:
        """Replace the view of one server."""
        self._is_shown = True
        before = self._views.get(view.name)
        view = self._views[view.name] = self._with_early(view)
        self._live.pop(view.name, None)
        self.changes += 1
        if before is None or before.last_check is None or view.last_check is None:
            self._record_verdict(view)
        if before is None or before.state is not view.state:
            self._counts[view.state] += 1
            if before is not None:
                self._counts[before.state] -= 1
        if view.restart is not None and view.restart.is_open:
            self._restarting[view.name] = view.group, urlsplit(view.url).hostname
        else:
            self._restarting.pop(view.name, None)
        for follower in self._followers:
            follower.on_view(view)

    def update(self, name: str, state: State, since: float, live: LiveFigures) -> bool:
        """Store live figures of a server that is in this state since then; return False if they change nothing yet."""
        view = self._views.get(name)
        if view is None:
            return False
        if view.state is not state or view.since != since:
            self._early[name] = state, since, live
            return False
        if live == (self._live.get(name) or view.live):
            return False
        self._live[name] = live
        self.changes += 1
        for follower in self._followers:
            follower.on_live(name, live)
        return True

    def _with_early(self, view: ServerView) -> ServerView:
        """Return the view with the figures that waited for it."""
        early = self._early.get(view.name)
        if early is None or (view.state, view.since) != early[:2]:
            return view
        del self._early[view.name]
        return view._replace(**early[2]._asdict())

    def attach(self, name: str, detail: ServerDetail) -> None:
        """Register the detail of a server, which its task continues to update."""
        self._details[name] = detail

    def set_order(self, names: Sequence[str]) -> None:
        """Keep these servers, in this order, and remove all others."""
        self._is_shown = True
        self.flush_live()
        self._views = {name: self._views[name] for name in names if name in self._views}
        self._details = {name: self._details[name] for name in names if name in self._details}
        self._early = {name: self._early[name] for name in names if name in self._early}
        self._counts = Counter(view.state for view in self._views.values())
        self._restarting = {name: place for name, place in self._restarting.items() if name in self._views}
        self._without_verdict.intersection_update(self._views)
        self.changes += 1
        for follower in self._followers:
            follower.on_order(names)

    def is_restarting(self, group: str) -> bool:
        """Return whether a server of the group is being restarted."""
        return any(one == group for one, _ in self._restarting.values())

    def has_open_restart(self, server: str) -> bool:
        """Return whether this server is being restarted."""
        return server in self._restarting

    def is_host_restarting(self, host: str) -> bool:
        """Return whether a server of the host is being restarted."""
        return any(one == host for _, one in self._restarting.values())

    def restarts(self, group: str) -> Iterator[Restart]:
        """Yield the latest restart of each server of the group that was restarted."""
        views = self._views.values()
        return (view.restart for view in views if view.restart is not None and view.group == group)

    def get(self, name: str) -> ServerView | None:
        """Return the view of a server, with its live figures merged in; None if it is unknown."""
        live = self._live.pop(name, None)
        if live is not None:
            view = self._views[name] = self._views[name]._replace(**live._asdict())
            if name in self._without_verdict:
                self._record_verdict(view)
        return self._views.get(name)

    def detail(self, name: str) -> ServerDetail:
        """Return the detail of a server, empty if none is attached."""
        return self._details.get(name) or ServerDetail()

    def flush_live(self) -> None:
        """Merge the live figures into the views, so that an unchanged view stays the same object."""
        for name in list(self._live):
            self.get(name)

    def __iter__(self) -> Iterator[ServerView]:
        """Iterate over current copies of the views without changing anything; /metrics does this in a thread."""
        live, views = dict(self._live), list(self._views.values())
        return iter([view._replace(**live[view.name]._asdict()) if view.name in live else view for view in views])

    def __len__(self) -> int:
        return len(self._views)

    @property
    def states(self) -> Mapping[State, int]:
        """Number of servers in each state; states without servers are omitted."""
        return {state: self._counts[state] for state in State if self._counts[state]}

    def summary(self) -> str:
        """Return one sentence on how many servers are loaded."""
        return f"{self._counts[State.LOADED]} of {len(self)} servers are loaded"

    @property
    def has_first_verdicts(self) -> bool:
        """Whether the fleet is shown, and every server has had a verdict since the start."""
        for name in self._live.keys() & self._without_verdict:
            self.get(name)
        return self._is_shown and not self._without_verdict

    def _record_verdict(self, view: ServerView) -> None:
        """Update at each change, because callers that wait for a large fleet poll `has_first_verdicts`."""
        if view.last_check is not None or view.state in _STATES_WITH_VERDICT:
            self._without_verdict.discard(view.name)
        else:
            self._without_verdict.add(view.name)


_STATES_WITH_VERDICT = frozenset(
    {
        State.UNREACHABLE,
        State.FAILED,
        State.PAUSED,
        State.SUBMITTING,
        State.WARMING,
        State.DRAINING,
        State.RESTARTING,
    }
)
