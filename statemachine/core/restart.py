"""One restart of a server: who asked for it, how far it is, how it ended, and when another may follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import NamedTuple

from statemachine.core.messages import NO_MESSAGE, Message, message
from statemachine.core.vocabulary import Reason, State

TOO_SOON = "restart_too_soon"


class RestartCause(StrEnum):
    """Who or what asked for a restart."""

    OPERATOR = "operator"
    STUCK = "queue_stuck"
    MEMORY = "memory"
    AGE = "age"
    SCHEDULE = "schedule"
    ROLLOUT = "rollout"


ASKED_BY_PERSONS = (RestartCause.OPERATOR, RestartCause.ROLLOUT)


class RestartStage(StrEnum):
    """How far a restart is, or how it ended. The first three are open."""

    DRAINING = "draining"
    HOOK = "hook"
    RETURNED = "returned"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


DAY_S = 86_400.0
MOST_HOOKS = 100
"""Times that are kept. Persons and rolling restarts are not limited, only triggers."""

OPEN_STAGES = (RestartStage.DRAINING, RestartStage.HOOK, RestartStage.RETURNED)

FAILED_FOR = frozenset({Reason.HOOK_FAILED, Reason.NOT_WARMED})
"""Reasons for which a restart has failed in every state of its server."""

RESTART_STATES: Mapping[RestartStage, State] = {
    RestartStage.DRAINING: State.DRAINING,
    RestartStage.HOOK: State.RESTARTING,
}
"""The state of a server while a restart is in a stage. In the others it is warmed like any other server."""


class RestartTerms(NamedTuple):
    """What asks for a restart, and the restart's id if the caller has chosen it: a repeated request changes nothing."""

    cause: RestartCause = RestartCause.OPERATOR
    id: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """Times are epoch seconds. `by` is the name of the client that asked, if it has one.

    `instance` and `mark` identify the server's process before the hook: the instance that a companion node reported,
    and the newest prompt of its history. `returned_at` is the time at which another process answered. `hooks` are the
    times of the server's hooks, oldest first: this restart's, and those within a day before it. `drains_timed_out`
    counts the restarts in a row, since the last hook, that triggers have asked for and that ended because the server
    did not finish its prompts.
    """

    id: str
    server: str
    cause: RestartCause
    requested_at: float
    by: str | None = None
    stage: RestartStage = RestartStage.DRAINING
    instance: str | None = None
    mark: str | None = None
    hook_started_at: float | None = None
    returned_at: float | None = None
    ended_at: float | None = None
    reason: Reason | None = None
    message: Message = NO_MESSAGE
    hooks: tuple[float, ...] = ()
    drains_timed_out: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the restart has not ended."""
        return self.stage in OPEN_STAGES

    @property
    def has_hook_begun(self) -> bool:
        """Whether the hook is recorded, and the server has not returned: the hook may be running."""
        return self.stage is RestartStage.HOOK

    def following(self, before: "Restart") -> "Restart":
        """Return the restart with what counts on from the server's last one."""
        return replace(self, hooks=before.hooks, drains_timed_out=before.drains_timed_out)

    def hook_begun(self, instance: str | None, mark: str | None, at: float) -> "Restart":
        """Return the restart whose hook is about to be run."""
        hooks = (*self.hooks, at)[-MOST_HOOKS:]
        begun = replace(self, stage=RestartStage.HOOK, hook_started_at=at, hooks=hooks, drains_timed_out=0)
        return replace(begun, instance=instance, mark=mark)

    def ended(self, stage: RestartStage, reason: Reason, message: Message, at: float) -> "Restart":
        """Return the restart with its end."""
        timed_out = reason is Reason.DRAIN_TIMED_OUT and self.cause not in ASKED_BY_PERSONS
        drains = self.drains_timed_out + timed_out
        return replace(self, stage=stage, reason=reason, message=message, ended_at=at, drains_timed_out=drains)

    def returned(self, at: float) -> "Restart":
        """Return the restart after another process of the server has answered."""
        return replace(self, stage=RestartStage.RETURNED, returned_at=at)

    def abandoned(self, at: float) -> "Restart":
        """Return the restart of a server whose state could not be restored, so that nothing of it is resumed."""
        if not self.is_open:
            return self
        return self.ended(RestartStage.FAILED, Reason.JOURNAL_UNAVAILABLE, message("restart_not_restored"), at)

    def after(self, dest: State, reason: Reason, message: Message, at: float) -> "Restart":
        """Return the restart after a transition of its server to `dest`, which may end it."""
        stage = self._end(dest, reason) if self.is_open else None
        return self if stage is None else self.ended(stage, reason, message, at)

    def _end(self, dest: State, reason: Reason) -> RestartStage | None:
        if reason in FAILED_FOR or dest is State.FAILED:
            return RestartStage.FAILED
        if reason is Reason.RESTART_CANCELLED or (dest is State.PAUSED and not self.has_hook_begun):
            return RestartStage.CANCELLED
        if self.stage is RestartStage.DRAINING and dest is not State.DRAINING:
            return RestartStage.FAILED
        return RestartStage.SUCCEEDED if dest is State.LOADED else None


NO_RESTART_TERMS = RestartTerms()


class RestartAges:
    """How long ago a server's latest hooks were, and the request, the return and the end of its latest restart.

    Ages are measured by the wall clock when a daemon first sees the times, and from then on by a steady clock, so that
    a step of the wall clock changes none of them. A time in the future, which a step back has left, counts as now.
    """

    __slots__ = ("_ahead", "_looked_at", "_since", "_wall")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget all looks: another restart was read from the journal."""
        self._since: dict[float, float] = {}
        self._ahead: frozenset[float] = frozenset()
        self._looked_at, self._wall = -inf, 0.0

    def look(self, latest: Restart | None, wall: float, steady: float) -> None:
        """Note the times of the latest restart. What is new since an earlier look is not older than that look."""
        longest_s = steady - self._looked_at
        found = () if latest is None else (*latest.hooks, latest.requested_at, latest.returned_at, latest.ended_at)
        times = [time for time in found if time is not None]
        self._ahead = frozenset(
            time for time in times if time in self._ahead or (time not in self._since and time > wall)
        )
        self._since = {time: self._since.get(time, steady - min(max(wall - time, 0.0), longest_s)) for time in times}
        self._looked_at, self._wall = steady, wall

    def age_s(self, time: float) -> float:
        """Return how long before the last look this was; 0 if it was not known then."""
        return self._looked_at - self._since.get(time, self._looked_at)

    def is_certain(self, time: float) -> bool:
        """Return whether the age is that of this time: it was not in the future when it was first seen."""
        return time in self._since and time not in self._ahead

    def redated(self, time: float) -> float:
        """Return the time by the wall clock as it is set now."""
        return self._wall - self.age_s(time)

    def recent(self, hooks: Sequence[float]) -> tuple[float, ...]:
        """Return the times that are less than a day old."""
        return tuple(time for time in hooks if self.age_s(time) < DAY_S)


def held_back(
    latest: Restart | None, ages: RestartAges, min_pause_s: float, max_per_day: int, cause: RestartCause, why: Message
) -> Message | None:
    """Return why no restart may be asked for although `why` holds, None if one may. `latest` is the server's last one.

    If it ended without its hook, the pause is longer, and after `max_per_day` of them in a row only a person may ask.
    That does not hold for a stuck server, whose prompts are not waited for.
    """
    if latest is None:
        return None
    waits_for_prompts = cause is not RestartCause.STUCK
    if waits_for_prompts and latest.drains_timed_out >= max_per_day:
        return message("drains_limit", why=why, count=latest.drains_timed_out)
    if (count := len(ages.recent(latest.hooks))) >= max_per_day:
        return message("restart_limit", why=why, count=count)
    is_longer = waits_for_prompts and latest.hook_started_at is None
    pause_s = max(min_pause_s, DAY_S / max_per_day) if is_longer else min_pause_s
    if ages.age_s(latest.ended_at or latest.requested_at) < pause_s:
        return message(TOO_SOON, why=why)
    return None


def is_limit(held: Message) -> bool:
    """Return whether a restart is held back by a limit, and not only until the pause is over."""
    return held.code != TOO_SOON
