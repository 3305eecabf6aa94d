"""What a daemon remembers of the run that it carries out: whom it has asked, and since when things are as they are."""

from statemachine.core.rollout import Facts, Rollout
from statemachine.core.rollout_room import RestartPoint, points
from statemachine.core.rollout_step import Waits


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
