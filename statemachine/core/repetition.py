"""Warm-ups that do not help: one failure several times in a row, and models that do not stay loaded.

After a few failures the daemon gives up for the long backoff. Where other work evicts the models, or their process
ends, warm-ups become less frequent.
"""

from dataclasses import dataclass, replace

from statemachine.core.backoff import Uniform, backoff
from statemachine.core.vocabulary import Reason

MOST_IN_A_ROW = 3

KINDS = (
    frozenset({Reason.WARM_UP_ENDS_SERVER, Reason.PROMPT_LOST}),
    frozenset({Reason.STILL_COLD_AFTER_SUCCESS, Reason.CACHED_WITHOUT_LOADING}),
)
"""Reasons that count as the same failure. A quick restart looks like a lost prompt."""

DIAGNOSIS = Reason.WARM_UP_ENDS_SERVER
"""The reason of a row in which the end of the process was seen at least once."""

GIVE_UP_REASONS = (
    Reason.WARM_UP_ENDS_SERVER,
    Reason.PROMPT_LOST,
    Reason.PROMPT_REFUSED,
    Reason.ACCESS_DENIED,
    Reason.PROMPT_FAILED,
    Reason.OUT_OF_MEMORY,
    Reason.PROMPT_INTERRUPTED,
    Reason.CACHED_WITHOUT_LOADING,
    Reason.STILL_COLD_AFTER_SUCCESS,
)
"""The failures that count: a prompt was posted, or may have been."""

FAIL_ONLY_REPEATED = (Reason.WARM_UP_ENDS_SERVER, Reason.PROMPT_LOST, Reason.PROMPT_INTERRUPTED)
"""Failures of which one alone does not make a server `failed`."""

SOON_S = 60.0
SOON_PER_LOAD = 2.0
"""Models lost within this time did not stay: so many seconds, or durations of the warm-up if that is longer."""

PAUSE_PER_LOAD = 2.0
"""The first pause, in durations of the warm-up. It doubles with each further loss."""


@dataclass(frozen=True, slots=True)
class Streak:
    """Warm-ups in a row that failed in the same way.

    Only a complete cache, new settings and the operator end it; a restart of the server or of the daemon does not.
    `retry_due`: the long backoff has ended, so one more warm-up may be tried.
    """

    reason: Reason | None = None
    count: int = 0
    retry_due: bool = False

    @property
    def gave_up(self) -> bool:
        """Whether nothing may be submitted before the long backoff has ended."""
        return self.count >= MOST_IN_A_ROW and not self.retry_due

    @property
    def resumed(self) -> "Streak":
        """The streak that the server's next daemon resumes.

        It tries once more what fails at the first time: settings or workflow may have been corrected meanwhile.
        """
        if self.reason in FAIL_ONLY_REPEATED:
            return Streak(self.reason, self.count)
        return Streak(self.reason, min(self.count, MOST_IN_A_ROW - 1))

    def extended(self, reason: Reason) -> "Streak":
        """Return the streak with one more failure, a new one if the failure is of another kind."""
        if reason not in GIVE_UP_REASONS:
            return self
        both = {reason, self.reason}
        if reason is not self.reason and not any(both <= kind for kind in KINDS):
            return Streak(reason, 1)
        return Streak(DIAGNOSIS if DIAGNOSIS in both else reason, self.count + 1)


NO_STREAK = Streak()


def streak_of_failed(reason: Reason) -> Streak:
    """Return the streak of a server that an older version has left `failed` for this reason."""
    if reason not in GIVE_UP_REASONS:
        return NO_STREAK
    return Streak(reason, MOST_IN_A_ROW if reason in FAIL_ONLY_REPEATED else 1)


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
