"""What a daemon remembers for the run that it carries out, by a steady clock.

It knows whom it has asked, since when things are as they are, and which servers have no verdict for a moment because
foreign work has finished: most of them are still loaded.
"""

from collections.abc import Callable, Sequence

from typing_extensions import override

from statemachine.core.rollout import Facts, Rollout
from statemachine.core.rollout_room import RestartPoint, points
from statemachine.core.rollout_step import Waits
from statemachine.core.server import LiveFigures, ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Follower

PRESUMED_S = 10.0
"""How long a server counts as loaded without a verdict."""


class RunWatch:
    """Measures the waits of a run by a steady clock, from the time at which this daemon first saw what is waited for.

    `asked` has the servers that were asked to restart, and when. Times are seconds of the steady clock.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self.asked: dict[str, float] = {}
        self._moved: tuple[float, float] | None = None
        self._since: dict[str, tuple[RestartPoint, float]] = {}

    def look(self, run: Rollout, facts: Facts, at: float) -> Waits:
        """Return the waits of the run, and note what has changed since the last look."""
        if self._moved is None or self._moved[0] != run.moved_at:
            self._moved = (run.moved_at, at)
        now = points(run, facts, self.asked)
        known = self._since
        self._since = {
            server: known[server] if known.get(server, (None,))[0] is point else (point, at)
            for server, point in now.items()
        }
        at_point = {server: (point, at - since) for server, (point, since) in self._since.items()}
        return Waits(at - self._moved[1], at_point)


class Renewals(Follower):
    """Follows the snapshot. `now` returns seconds of any steady clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._states: dict[str, State] = {}
        self._since: dict[str, float] = {}

    @override
    def on_view(self, view: ServerView) -> None:
        before, self._states[view.name] = self._states.get(view.name), view.state
        if view.state is not State.UNKNOWN or view.reason is not Reason.FOREIGN_WORK_FINISHED:
            if view.state is not State.CHECKING:
                self._since.pop(view.name, None)
        elif before is State.LOADED:
            self._since[view.name] = self._now()

    @override
    def on_live(self, name: str, live: LiveFigures) -> None:
        """Do nothing: live figures change no state."""

    @override
    def on_order(self, names: Sequence[str]) -> None:
        kept = frozenset(names)
        self._states = {name: state for name, state in self._states.items() if name in kept}
        self._since = {name: since for name, since in self._since.items() if name in kept}

    def __len__(self) -> int:
        """Return the number of servers that are followed."""
        return len(self._states)

    def __contains__(self, server: str) -> bool:
        """Return whether the server was loaded, and its check is being repeated."""
        since = self._since.get(server)
        return since is not None and self._now() - since < PRESUMED_S
