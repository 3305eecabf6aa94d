"""The same failure several times in a row. After a few the daemon gives up for the long backoff."""

from dataclasses import dataclass

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
