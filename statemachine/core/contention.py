"""Models that do not stay loaded: other work evicts them, or their process ends. Warm-ups then become less frequent."""

from dataclasses import dataclass, replace

from statemachine.core.backoff import Uniform, backoff

SOON_S = 60.0
SOON_PER_LOAD = 2.0
"""Models lost within this time did not stay: so many seconds, or durations of the warm-up if that is longer."""

PAUSE_PER_LOAD = 2.0
"""The first pause, in durations of the warm-up. It doubles with each further loss."""


@dataclass(frozen=True, slots=True)
class Contention:
    """Losses in a row, each soon after the models were loaded.

    `load_s` is the duration of the longest warm-up since the last loss. `waiting`: no warm-up has started since the
    last loss. `by_end`: the last loss came with the end of a connection or of the process. `reloading`: the check
    that found it started the server's own loading.
    """

    losses: int = 0
    load_s: float = 0.0
    waiting: bool = False
    by_end: bool = False
    reloading: bool = False

    @property
    def is_contested(self) -> bool:
        """Whether the models were lost at least twice in a row, and the next warm-up has to wait."""
        return self.losses > 1 and self.waiting

    @property
    def delays_check(self) -> bool:
        """Whether the next check has to wait, because it would start the loading of models that do not stay."""
        return self.losses > 1 and self.reloading

    def after_loss(self, stayed_s: float) -> "Contention":
        """Return the contention after models that had stayed loaded for `stayed_s` seconds were lost."""
        soon = stayed_s <= max(SOON_S, SOON_PER_LOAD * self.load_s)
        return Contention(self.losses + 1 if soon else 1, self.load_s, waiting=True)

    def after_load(self, load_s: float) -> "Contention":
        """Return the contention after a warm-up; the longest one since the last loss took `load_s` seconds."""
        return replace(self, load_s=load_s)

    def pause_s(self, base_s: float, limit_s: float, uniform: Uniform) -> float:
        """Return how long after the last of several losses the next warm-up may start, at most `limit_s`."""
        return backoff(self.losses - 2, max(base_s, PAUSE_PER_LOAD * self.load_s), limit_s, uniform)


NO_CONTENTION = Contention()
