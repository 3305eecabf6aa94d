"""Which warm server the next piece of work should go to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from statemachine.core.backoff import Uniform
from statemachine.core.view import ServerView

PICK_COUNTS_S = 2.0
"""A pick counts as a waiting prompt until the server's queue is heard to have changed, and no longer than this."""


@dataclass(slots=True)
class _Picks:
    """What was sent to one server since its queue had this length. `last` is in the caller's seconds."""

    queue_remaining: int | None
    count: int
    last: float


class Router:
    """Chooses, and remembers its newest choices: a queue's length is known only once the work has arrived there."""

    def __init__(self, uniform: Uniform) -> None:
        """`uniform` gives numbers in [0, 1); it decides between equals."""
        self._uniform = uniform
        self._picks: dict[str, _Picks] = {}

    def choose(self, candidates: Iterable[ServerView], at: float) -> ServerView | None:
        """The loaded candidate with the shortest queue, None where none is loaded; `at` is any steady clock's seconds.

        A queue of unknown length comes after all that are known.
        """
        self._forget(at)
        warm = [(self._length(view), view) for view in candidates if view.cache_loaded]
        if not warm:
            return None
        least = min(length for length, _ in warm)
        chosen = self._one_of([view for length, view in warm if length == least])
        self._remember(chosen, at)
        return chosen

    def _length(self, view: ServerView) -> tuple[bool, int]:
        picks = self._picks.get(view.name)
        sent = picks.count if picks is not None and picks.queue_remaining == view.queue_remaining else 0
        return view.queue_remaining is None, (view.queue_remaining or 0) + sent

    def _one_of(self, equals: Sequence[ServerView]) -> ServerView:
        return equals[int(self._uniform() * len(equals))]

    def _remember(self, view: ServerView, at: float) -> None:
        before = self._picks.get(view.name)
        same = before is not None and before.queue_remaining == view.queue_remaining
        count = before.count + 1 if before is not None and same else 1
        self._picks[view.name] = _Picks(view.queue_remaining, count, at)

    def _forget(self, at: float) -> None:
        self._picks = {name: picks for name, picks in self._picks.items() if at - picks.last < PICK_COUNTS_S}
