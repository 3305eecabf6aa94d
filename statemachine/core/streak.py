"""The same failure several times in a row. After a few the daemon gives up for the long backoff."""

from dataclasses import dataclass

from statemachine.core.vocabulary import Reason, State

MOST_IN_A_ROW = 3

KINDS = (
    frozenset({Reason.WARM_UP_ENDS_SERVER, Reason.PROMPT_LOST}),
    frozenset({Reason.STILL_COLD_AFTER_SUCCESS, Reason.CACHED_WITHOUT_LOADING}),
)
"""Reasons that count as the same failure. A quick restart looks like a lost prompt."""

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


@dataclass(frozen=True, slots=True)
class Streak:
    """Warm-ups in a row that failed in the same way.

    Only a complete cache, new settings and the operator end it; a restart of the server does not. `retry_due`: the
    long backoff has ended, so one more warm-up may be tried.
    """

    reason: Reason | None = None
    count: int = 0
    retry_due: bool = False

    @property
    def gave_up(self) -> bool:
        """Whether nothing may be submitted before the long backoff has ended."""
        return self.count >= MOST_IN_A_ROW and not self.retry_due

    def extended(self, reason: Reason) -> "Streak":
        """Return the streak with one more failure, a new one if the failure is of another kind."""
        if reason not in GIVE_UP_REASONS:
            return self
        return Streak(reason, self.count + 1 if self._is_like(reason) else 1)

    def _is_like(self, reason: Reason) -> bool:
        return reason is self.reason or any({reason, self.reason} <= kind for kind in KINDS)


NO_STREAK = Streak()

FAIL_ONLY_REPEATED = (Reason.WARM_UP_ENDS_SERVER, Reason.PROMPT_LOST, Reason.PROMPT_INTERRUPTED)
"""Failures of which one alone does not make a server `failed`."""


ENDING_REASONS = (Reason.WARM_REQUESTED, Reason.SETTINGS_CHANGED)
"""Reasons of transitions that end a streak, apart from those to `loaded`."""


def failed_for_after(failed_for: Reason | None, state: State, reason: Reason) -> Reason | None:
    """Return the last failure that has not been overcome, after a transition; `failed_for` is the one before it."""
    if state is State.FAILED:
        return reason
    return None if state is State.LOADED or reason in ENDING_REASONS else failed_for


def resumed_streak(failed_for: Reason | None) -> Streak:
    """Return the streak of a server whose last failure before the daemon ended was for this reason."""
    if failed_for not in GIVE_UP_REASONS:
        return NO_STREAK
    return Streak(failed_for, MOST_IN_A_ROW if failed_for in FAIL_ONLY_REPEATED else 1)
