"""How long a warm-up may take. Frames without progress do not extend it, and progress only up to a limit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from statemachine.core.server import Attempt
from statemachine.fleet.clock import loop_time

MOST_EXTENDED = 3
"""Progress extends a warm-up to this many times `warm_timeout_s` in all."""


@dataclass(slots=True, eq=False)
class Patience:
    """The time limit of one attempt. Only the time within `running` counts: the server may be away between."""

    attempt: Attempt
    _began: float = field(default_factory=loop_time)
    _moved: float = field(init=False)
    _moved_at: float = field(default_factory=loop_time)
    _stopped_at: float = field(default_factory=loop_time)

    def __post_init__(self) -> None:
        self._moved = self.attempt.last_progress_at

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time within the block."""
        away_s = loop_time() - self._stopped_at
        self._began, self._moved_at = self._began + away_s, self._moved_at + away_s
        try:
            yield
        finally:
            self._stopped_at = loop_time()

    def is_over(self, timeout_s: float) -> bool:
        """Return whether the last progress is older than `timeout_s`, or the warm-up too long in all."""
        return self.left_s(timeout_s) <= 0.0

    def left_s(self, timeout_s: float) -> float:
        """Return the time until the warm-up is given up, unless there is progress."""
        if self.attempt.last_progress_at != self._moved:
            self._moved, self._moved_at = self.attempt.last_progress_at, loop_time()
        return min(self._moved_at + timeout_s, self._began + MOST_EXTENDED * timeout_s) - loop_time()

    def is_used_up(self, timeout_s: float) -> bool:
        """Return whether not even progress extends the warm-up any more."""
        return loop_time() - self._began >= MOST_EXTENDED * timeout_s
