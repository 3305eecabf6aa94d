"""A rolling restart: one run over the servers of a group, and what its client asks of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from statemachine.core.vocabulary import State

MOST_SERVERS = 100_000
"""The highest number of servers that may be away, or failures in a row, that a client may set."""


class RunState(StrEnum):
    """Whether a run restarts servers, or how it ended. The value is public."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    ABORTED = "aborted"
    CANCELLED = "cancelled"


GOING_ON = (RunState.RUNNING, RunState.PAUSED)
"""The states of a run that may still restart servers."""


class MemberStage(StrEnum):
    """Where a server of a run stands. The value is public."""

    WAITING = "waiting"
    RESTARTING = "restarting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class RunReason(StrEnum):
    """Why a server waits or was skipped, why its restart failed, or why the run ended. The value is public.

    A failed restart has its own reason, one of `Reason`, instead.
    """

    LIMIT_REACHED = "limit_reached"
    LAST_WARM_SERVER = "last_warm_server"
    ANOTHER_RESTART = "another_restart"
    SERVER_PAUSED = "server_paused"
    SERVER_UNREACHABLE = "server_unreachable"
    ONLY_SERVER = "only_server"
    NO_HOOK = "no_hook"
    SERVER_REMOVED = "server_removed"
    REQUEST_REFUSED = "request_refused"
    RESTART_CANCELLED = "restart_cancelled"
    RESTARTED_MEANWHILE = "restarted_meanwhile"
    NOT_STARTED = "not_started"
    NOT_WARM_IN_TIME = "not_warm_in_time"
    RUN_PAUSED = "run_paused"
    RUN_ENDED = "run_ended"
    FAILURES_IN_A_ROW = "failures_in_a_row"
    NO_PROGRESS = "no_progress"


def is_left(state: str, stage: str, reason: str | None) -> bool:
    """Return whether a run in this state has not restarted the server, and restarts it if it is resumed.

    The arguments may be words of the API.
    """
    has_stopped = state in (RunState.CANCELLED, RunState.ABORTED)
    return has_stopped and (stage == MemberStage.WAITING or reason == RunReason.RUN_ENDED)


class RestartSeen(NamedTuple):
    """The latest restart of a server. `succeeded` is None unless it ended by itself."""

    id: str
    is_open: bool
    succeeded: bool | None = None
    reason: str | None = None
    has_returned: bool = False


class ServerFacts(NamedTuple):
    """What a run knows of a server of the fleet. `is_renewed`: it was loaded, and its check is being repeated."""

    name: str
    group: str
    state: State
    workflows: tuple[str, ...] = ()
    has_hook: bool = True
    restart: RestartSeen | None = None
    is_renewed: bool = False


Facts = Mapping[str, ServerFacts]
"""Every server of the fleet by name, in the order of the settings."""


@dataclass(frozen=True, slots=True)
class RolloutLimits:
    """How many servers of the group may be away, and how many failures in a row end the run."""

    max_unavailable: int = 1
    abort_after: int = 1


@dataclass(frozen=True, slots=True)
class RolloutMember:
    """A server of a run. `at`: since when it is in its stage, epoch seconds. `was_failed`: before its restart.

    `before` is the id of the server's latest restart when the run began, and then when its own was decided on. Ids are
    compared, not times: those of another node's clock.
    """

    server: str
    number: int
    stage: MemberStage = MemberStage.WAITING
    at: float | None = None
    reason: str | None = None
    was_failed: bool = False
    before: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether the run is through with the server."""
        return self.stage not in (MemberStage.WAITING, MemberStage.RESTARTING)

    def moved(self, stage: MemberStage, now: float, reason: str | None = None) -> "RolloutMember":
        """Return the member in its next stage."""
        return replace(self, stage=stage, at=now, reason=reason)

    def waiting_again(self, members: int) -> "RolloutMember":
        """Return the member of a resumed run with a number that none has had: its restart is another one."""
        number = self.number + members
        return replace(self, number=number, stage=MemberStage.WAITING, at=None, reason=None, was_failed=False)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rolling restart. It has ended once `ended_at` is set: no restart of it is under way, unless it is resumed.

    `by` is the client that asked for it, `changed_by` the one that paused, resumed or cancelled it last, at
    `changed_at`. `moved_at` is the time of its last step. Times are epoch seconds.
    """

    id: str
    group: str
    limits: RolloutLimits
    members: tuple[RolloutMember, ...]
    started_at: float
    moved_at: float
    by: str | None = None
    state: RunState = RunState.RUNNING
    reason: RunReason | None = None
    failures_in_a_row: int = 0
    changed_by: str | None = None
    changed_at: float | None = None
    ended_at: float | None = None

    @property
    def is_going_on(self) -> bool:
        """Whether the run may still restart servers."""
        return self.state in GOING_ON

    @property
    def left(self) -> tuple[RolloutMember, ...]:
        """The servers that a cancelled or aborted run has not restarted, and that it restarts if it is resumed."""
        return tuple(one for one in self.members if is_left(self.state, one.stage, one.reason))

    def restart_id(self, member: RolloutMember) -> str:
        """Return the id of the server's restart: a repeated request for it changes nothing."""
        return f"{self.id}-{member.number}"

    def counts(self) -> dict[MemberStage, int]:
        """Return the number of servers in each stage."""
        found = dict.fromkeys(MemberStage, 0)
        for member in self.members:
            found[member.stage] += 1
        return found

    def with_members(self, changed: Iterable[RolloutMember], now: float) -> "Rollout":
        """Return the run with these members in place of those of the same servers."""
        by_server = {one.server: one for one in changed}
        if not by_server:
            return self
        members = tuple(by_server.get(one.server, one) for one in self.members)
        return replace(self, members=members, moved_at=now)


def new_rollout(run: str, group: str, limits: RolloutLimits, facts: Facts, by: str | None, now: float) -> Rollout:
    """Return a run over the servers that the group has now, in the order of the settings."""
    servers = [one for one in facts.values() if one.group == group]
    members = tuple(_member(one, number) for number, one in enumerate(servers, start=1))
    return Rollout(run, group, limits, members, started_at=now, moved_at=now, by=by)


def _member(seen: ServerFacts, number: int) -> RolloutMember:
    return RolloutMember(seen.name, number, before=seen.restart.id if seen.restart is not None else None)


class RolloutAction(StrEnum):
    """What a client may ask of a run. The value is the last part of its API route."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


_STATE_AFTER = {
    RolloutAction.PAUSE: RunState.PAUSED,
    RolloutAction.RESUME: RunState.RUNNING,
    RolloutAction.CANCEL: RunState.CANCELLED,
}


def acted(run: Rollout, action: RolloutAction, by: str | None, now: float) -> Rollout | None:
    """Return the run after the action, the same one if it changes nothing, or None if the run is over."""
    state = _STATE_AFTER[action]
    if state is run.state:
        return run
    if not run.is_going_on:
        if action is not RolloutAction.RESUME or not run.left:
            return None
        run = _reopened(run, now)
    return replace(run, state=state, changed_by=by, changed_at=now, moved_at=now)


def _reopened(run: Rollout, now: float) -> Rollout:
    """Return an ended run whose servers that were left wait again. What it has restarted stays done."""
    waiting = [one.waiting_again(len(run.members)) for one in run.left]
    return replace(run.with_members(waiting, now), reason=None, failures_in_a_row=0, ended_at=None)
