"""What a rolling restart does next: a pure function of the run, of what is seen of the fleet, and of the time.

A server is restarted only while its group has room for one more server that is not warm, for any cause, and while
another server is warm for each of its workflows. A server that was loaded and has no verdict for a moment counts as
warm, or a busy fleet would never have room.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from statemachine.core.rollout import (
    Facts,
    MemberStage,
    RestartSeen,
    Rollout,
    RolloutMember,
    RunReason,
    RunState,
    ServerFacts,
)
from statemachine.core.vocabulary import State

START_PATIENCE_S = 300.0
"""How long a restart that was asked for may take to begin; the request is repeated meanwhile."""

WARM_PATIENCE_S = 7_200.0
"""How long a server that has returned may take to be warm."""

SKIP_AFTER_S = 120.0
"""How long a run waits for paused and unreachable servers once nothing else is left."""

NO_PROGRESS_S = 21_600.0
"""How long a run waits for servers to be warm that it does not restart itself."""


class _Instant(NamedTuple):
    """The time of a step, and since when the daemon looks after the run."""

    now: float
    since: float

    def passed(self, at: float | None) -> float:
        """Return the seconds since `at` in which the daemon looked after the run."""
        return self.now - max(self.since, self.now if at is None else at)


_HELD_BACK = {State.PAUSED: RunReason.SERVER_PAUSED, State.UNREACHABLE: RunReason.SERVER_UNREACHABLE}
_SKIPS = frozenset({RunReason.SERVER_REMOVED, RunReason.NO_HOOK, RunReason.ONLY_SERVER})
_NOT_WARM = frozenset({State.COLD, State.FAILED, State.AUTO_EXECUTING, State.SUBMITTING, State.WARMING})
"""States that a check has led to: the server serves none of its workflows. Others may be warm without a verdict."""


def step(run: Rollout, facts: Facts, now: float, since: float = 0.0) -> Rollout:
    """Return the run after what has happened: ended restarts are noted, and the next ones are to be asked for.

    Time limits count from `since` at the earliest, when the daemon began to look after the run.
    """
    for member in run.members:
        if not member.is_over:
            run = _noted(run, member, facts.get(member.server), _Instant(now, since))
    if run.state is RunState.RUNNING:
        run = _advanced(run, facts, _Instant(now, since))
    return _concluded(run, now)


def requests(run: Rollout, facts: Facts) -> list[RolloutMember]:
    """Return the members whose restart was decided on and has not begun, as far as is seen."""
    return [
        member
        for member in run.members
        if member.stage is MemberStage.RESTARTING
        and (seen := facts.get(member.server)) is not None
        and not (seen.restart is not None and (seen.restart.id == run.restart_id(member) or seen.restart.is_open))
    ]


def refused(run: Rollout, server: str, now: float) -> Rollout:
    """Return the run after the request for this server was refused."""
    members = [one for one in run.members if one.server == server and not one.is_over]
    return run.with_members([one.moved(MemberStage.SKIPPED, now, RunReason.REQUEST_REFUSED) for one in members], now)


def obstacles(run: Rollout, facts: Facts) -> dict[str, RunReason | None]:
    """Return what each waiting server waits for."""
    room = _Room(run, facts)
    return {one.server: room.obstacle(one) for one in run.members if one.stage is MemberStage.WAITING}


def _noted(run: Rollout, member: RolloutMember, seen: ServerFacts | None, time: _Instant) -> Rollout:
    """Note what became of a server's restart."""
    restart = seen.restart if seen is not None else None
    is_asked = member.stage is MemberStage.RESTARTING
    if seen is None:
        return _over(run, member, MemberStage.SKIPPED, RunReason.SERVER_REMOVED, time.now) if is_asked else run
    if restart is not None and restart.id == run.restart_id(member):
        return _followed(run, member, restart, time)
    if restart is not None and restart.requested_at >= (member.at if is_asked and member.at else run.started_at):
        return _followed_other(run, member, restart, time)
    if is_asked and time.passed(member.at) >= START_PATIENCE_S:
        return _over(run, member, MemberStage.FAILED, RunReason.NOT_STARTED, time.now)
    return run


def _followed(run: Rollout, member: RolloutMember, restart: RestartSeen, time: _Instant) -> Rollout:
    if not restart.is_open:
        return _ended(run, member, restart, time)
    if restart.returned_at is not None and time.passed(restart.returned_at) >= WARM_PATIENCE_S:
        return _over(run, member, MemberStage.FAILED, RunReason.NOT_WARM_IN_TIME, time.now)
    if member.stage is MemberStage.WAITING:
        return run.with_members([member.moved(MemberStage.RESTARTING, time.now)], time.now)
    return run


def _ended(run: Rollout, member: RolloutMember, restart: RestartSeen, time: _Instant) -> Rollout:
    if restart.succeeded is None:
        return _over(run, member, MemberStage.SKIPPED, RunReason.RESTART_CANCELLED, time.now)
    if restart.succeeded:
        return _over(run, member, MemberStage.DONE, None, time.now)
    return _over(run, member, MemberStage.FAILED, restart.reason, time.now)


def _followed_other(run: Rollout, member: RolloutMember, restart: RestartSeen, time: _Instant) -> Rollout:
    """Count a restart of others that began after ours was asked for: ours may have come before it.

    A server that waits counts as restarted by one that succeeded.
    """
    is_asked = member.stage is MemberStage.RESTARTING
    if restart.is_open:
        is_late = is_asked and time.passed(member.at) >= WARM_PATIENCE_S
        return _over(run, member, MemberStage.FAILED, RunReason.NOT_STARTED, time.now) if is_late else run
    if restart.succeeded:
        return _over(run, member, MemberStage.DONE, RunReason.RESTARTED_MEANWHILE, time.now)
    return _ended(run, member, restart, time) if is_asked else run


def _over(run: Rollout, member: RolloutMember, stage: MemberStage, reason: str | None, now: float) -> Rollout:
    run = run.with_members([member.moved(stage, now, reason)], now)
    if stage is MemberStage.DONE:
        return replace(run, failures_in_a_row=0)
    if stage is not MemberStage.FAILED or member.was_failed:
        return run
    run = replace(run, failures_in_a_row=run.failures_in_a_row + 1)
    if run.failures_in_a_row >= run.limits.abort_after and run.is_going_on:
        return replace(run, state=RunState.ABORTED, reason=RunReason.FAILURES_IN_A_ROW)
    return run


def _advanced(run: Rollout, facts: Facts, time: _Instant) -> Rollout:
    """Ask for as many restarts as there is room for, of servers that are not warm first; give up what cannot be."""
    room, changed = _Room(run, facts), []
    waiting = [one for one in run.members if one.stage is MemberStage.WAITING]
    for member in sorted(waiting, key=lambda one: room.is_warm(one.server)):
        reason = room.obstacle(member)
        if reason is None:
            asked = member.moved(MemberStage.RESTARTING, time.now)
            changed.append(replace(asked, was_failed=room.has_failed(member.server)))
            room.take(member.server)
        elif reason in _SKIPS:
            changed.append(member.moved(MemberStage.SKIPPED, time.now, reason))
    return _given_up(run.with_members(changed, time.now), facts, time)


def _given_up(run: Rollout, facts: Facts, time: _Instant) -> Rollout:
    """Skip servers that are held back once nothing else is left; end a run that cannot go on."""
    quiet_s = time.passed(run.moved_at)
    if quiet_s < SKIP_AFTER_S or any(one.stage is MemberStage.RESTARTING for one in run.members):
        return run
    waits_for = obstacles(run, facts)
    if all(reason in _HELD_BACK.values() for reason in waits_for.values()):
        return _skipped(run, waits_for, time.now)
    if quiet_s >= NO_PROGRESS_S:
        return replace(run, state=RunState.ABORTED, reason=RunReason.NO_PROGRESS, moved_at=time.now)
    return run


def _skipped(run: Rollout, reasons: Mapping[str, RunReason | None], now: float) -> Rollout:
    waiting = [one for one in run.members if one.stage is MemberStage.WAITING]
    return run.with_members([one.moved(MemberStage.SKIPPED, now, reasons[one.server]) for one in waiting], now)


def _concluded(run: Rollout, now: float) -> Rollout:
    """Skip what an ended run will not restart; note its end once its last restart has ended."""
    if run.state in (RunState.ABORTED, RunState.CANCELLED):
        run = _skipped(run, {one.server: RunReason.RUN_ENDED for one in run.members}, now)
    if run.ended_at is not None or not all(one.is_over for one in run.members):
        return run
    return replace(run, state=RunState.DONE if run.is_going_on else run.state, ended_at=now)


class _Room:
    """How many servers of each group, and of each workflow, are warm now, less those that the run takes away."""

    def __init__(self, run: Rollout, facts: Facts) -> None:
        self._run = run
        self._facts = facts
        taken = {one.server for one in run.members if one.stage is MemberStage.RESTARTING}
        warm = [one for one in facts.values() if one.state is State.LOADED or one.is_renewed]
        self._warm = {one.name for one in warm} - taken
        self._away = Counter(one.group for one in facts.values() if one.name not in self._warm)
        self._warm_for = _count(one for one in warm if one.name in self._warm)
        self._servers_for = _count(facts.values())

    def is_warm(self, server: str) -> bool:
        """Return whether the server is warm and stays so."""
        return server in self._warm

    def has_failed(self, server: str) -> bool:
        """Return whether the server has failed."""
        return self._facts[server].state is State.FAILED

    def take(self, server: str) -> None:
        """Count a server as away, because it is restarted."""
        seen = self._facts[server]
        if self.is_warm(server):
            self._away[seen.group] += 1
            self._warm_for.subtract(set(seen.workflows))
        self._warm.discard(server)

    def obstacle(self, member: RolloutMember) -> RunReason | None:
        """Return what keeps a waiting server from being restarted now, None if nothing does."""
        seen = self._facts.get(member.server)
        if seen is None:
            return RunReason.SERVER_REMOVED
        if not seen.has_hook:
            return RunReason.NO_HOOK
        if any(self._servers_for[one] == 1 for one in seen.workflows):
            return RunReason.ONLY_SERVER
        if seen.restart is not None and seen.restart.is_open:
            return RunReason.ANOTHER_RESTART
        return _HELD_BACK.get(seen.state) or self._lack(seen)

    def _lack(self, seen: ServerFacts) -> RunReason | None:
        is_warm = self.is_warm(seen.name)
        others_away = self._away[seen.group] - (not is_warm)
        if others_away >= self._run.limits.max_unavailable:
            return RunReason.LIMIT_REACHED
        if seen.state not in _NOT_WARM and any(self._warm_for[one] <= is_warm for one in seen.workflows):
            return RunReason.LAST_WARM_SERVER
        return None


def _count(servers: Iterable[ServerFacts]) -> Counter[str]:
    each = Counter(one.workflows for one in servers)
    found = Counter[str]()
    for workflows, count in each.items():
        for workflow in set(workflows):
            found[workflow] += count
    return found
