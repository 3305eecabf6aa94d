"""Models that do not stay loaded, because other work keeps evicting them: warm-ups then become less frequent."""

from dataclasses import dataclass, replace

from statemachine.core.backoff import Uniform, backoff

SOON_S = 60.0
"""Models lost within this time did not stay; within twice the time that they took to load, if that is longer."""

PAUSE_PER_LOAD = 2.0
"""The first pause, in durations of the warm-up. It doubles with each further loss."""


@dataclass(frozen=True, slots=True)
class Contention:
    """Losses in a row, each soon after the models were loaded.

    `load_s` is the duration of the last warm-up. `waiting`: no warm-up has started since the last loss.
    """

    losses: int = 0
    load_s: float = 0.0
    waiting: bool = False

    @property
    def is_contested(self) -> bool:
        """Whether the models were lost at least twice in a row, and the next warm-up has to wait."""
        return self.losses > 1 and self.waiting

    def after_loss(self, stayed_s: float) -> "Contention":
        """Return the contention after models that had stayed loaded for `stayed_s` seconds were lost."""
        soon = stayed_s <= max(SOON_S, 2.0 * self.load_s)
        return Contention(self.losses + 1 if soon else 1, self.load_s, waiting=True)

    def after_load(self, load_s: float) -> "Contention":
        """Return the contention after a warm-up of `load_s` seconds."""
        return replace(self, load_s=load_s)

    def pause_s(self, base_s: float, limit_s: float, uniform: Uniform) -> float:
        """Return how long after the last of several losses the next warm-up may start, at most `limit_s`."""
        return backoff(self.losses - 2, max(base_s, PAUSE_PER_LOAD * self.load_s), limit_s, uniform)


NO_CONTENTION = Contention()
