"""The choice of a warm server for the next request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from statemachine.core.backoff import Uniform
from statemachine.core.server import ServerView

PICK_LIFETIME_S = 2.0
"""Time for which a pick counts as a queued prompt, unless the server reports a changed queue earlier."""


@dataclass(slots=True)
class _Picks:
    """Picks of one server since its queue has had this length. `last` is the time of the latest one."""

    queue_remaining: int | None
    count: int
    last: float


class Router:
    """Chooses servers and remembers recent picks, because a queue grows only when the request has arrived."""

    def __init__(self, uniform: Uniform) -> None:
        """Break ties with `uniform`, which returns numbers in [0, 1)."""
        self._uniform = uniform
        self._picks: dict[str, _Picks] = {}

    def choose(self, candidates: Iterable[ServerView], at: float) -> ServerView | None:
        """Return the loaded candidate with the shortest queue, or None if no candidate is loaded.

        A queue of unknown length is considered longest. `at` is the time in seconds of a monotonic clock.
        """
        self._forget(at)
        warm = [(self._length(view), view) for view in candidates if view.cache_loaded]
        if not warm:
            return None
        shortest = min(length for length, _ in warm)
        chosen = self._random_one([view for length, view in warm if length == shortest])
        self._remember(chosen, at)
        return chosen

    def _length(self, view: ServerView) -> tuple[bool, int]:
        picks = self._picks.get(view.name)
        sent = picks.count if picks is not None and picks.queue_remaining == view.queue_remaining else 0
        return view.queue_remaining is None, (view.queue_remaining or 0) + sent

    def _random_one(self, views: Sequence[ServerView]) -> ServerView:
        return views[int(self._uniform() * len(views))]

    def _remember(self, view: ServerView, at: float) -> None:
        before = self._picks.get(view.name)
        same = before is not None and before.queue_remaining == view.queue_remaining
        count = before.count + 1 if before is not None and same else 1
        self._picks[view.name] = _Picks(view.queue_remaining, count, at)

    def _forget(self, at: float) -> None:
        self._picks = {name: picks for name, picks in self._picks.items() if at - picks.last < PICK_LIFETIME_S}
