"""What a rolling restart does next: a pure function of the run, of what is seen of the fleet, and of the time."""

from collections.abc import Collection, Mapping
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
from statemachine.core.rollout_room import HELD_BACK, SKIPS, RestartPoint, Room, has_begun, obstacles, points
from statemachine.core.vocabulary import State

START_PATIENCE_S = 300.0
"""How long a restart that was asked for may take to begin; the request is repeated meanwhile."""

WARM_PATIENCE_S = 7_200.0
"""How long a server that has returned may take to be warm."""

SEEN_WITHIN_S = 10.0
"""Within this time a restart that an earlier request began is seen. It is longer than any request between nodes."""

SKIP_AFTER_S = 120.0
"""How long a run waits for paused and unreachable servers once nothing else is left."""

NO_PROGRESS_S = 21_600.0
"""How long a run waits for servers to be warm that it does not restart itself."""


class Waits(NamedTuple):
    """How long the daemon has seen the run as it is, and each restart at its point. Seconds of a steady clock."""

    quiet_s: float = 0.0
    at_point: Mapping[str, tuple[RestartPoint, float]] = {}

    def is_over(self, server: str, point: RestartPoint, patience_s: float) -> bool:
        """Return whether the server's restart has been at this point for longer than it may."""
        found, seconds = self.at_point.get(server, (None, 0.0))
        return found is point and seconds >= patience_s


NO_WAITS = Waits()


def step(run: Rollout, facts: Facts, now: float, waits: Waits = NO_WAITS) -> Rollout:
    """Return the run after what has happened: ended restarts are noted, and the next ones are to be asked for.

    `now`, in epoch seconds, is noted and decides nothing: the system clock may be set meanwhile.
    """
    for member in run.members:
        if not member.is_over:
            run = _noted(run, member, facts.get(member.server), now, waits)
    if run.state is RunState.RUNNING:
        run = _advanced(run, facts, now, waits)
    return _concluded(run, now, waits)


def requests(run: Rollout, facts: Facts, asked: Collection[str] = frozenset()) -> list[RolloutMember]:
    """Return the members whose restart was decided on, has not begun as far as is seen, and still has room.

    `asked` has the servers that were asked already: their restart may have begun.
    """
    due = {server for server, point in points(run, facts, asked).items() if point is RestartPoint.DUE}
    return [one for one in run.members if one.server in due]


def refused(run: Rollout, server: str, now: float) -> Rollout:
    """Return the run after the request for this server was refused."""
    members = [one for one in run.members if one.server == server and not one.is_over]
    return run.with_members([one.moved(MemberStage.SKIPPED, now, RunReason.REQUEST_REFUSED) for one in members], now)


def _noted(run: Rollout, member: RolloutMember, seen: ServerFacts | None, now: float, waits: Waits) -> Rollout:
    """Note what became of a server's restart."""
    is_asked = member.stage is MemberStage.RESTARTING
    if seen is None:
        return _over(run, member, MemberStage.SKIPPED, RunReason.SERVER_REMOVED, now) if is_asked else run
    if seen.restart is not None and seen.restart.id == run.restart_id(member):
        return _followed(run, member, seen.restart, now, waits)
    if seen.restart is not None and has_begun(member, seen):
        return _followed_other(run, member, seen.restart, now, waits)
    if waits.is_over(member.server, RestartPoint.DUE, START_PATIENCE_S):
        return _over(run, member, MemberStage.FAILED, RunReason.NOT_STARTED, now)
    return run


def _followed(run: Rollout, member: RolloutMember, restart: RestartSeen, now: float, waits: Waits) -> Rollout:
    if not restart.is_open:
        return _ended(run, member, restart, now)
    if waits.is_over(member.server, RestartPoint.RETURNED, WARM_PATIENCE_S):
        return _over(run, member, MemberStage.FAILED, RunReason.NOT_WARM_IN_TIME, now)
    if member.stage is MemberStage.WAITING:
        return run.with_members([member.moved(MemberStage.RESTARTING, now)], now)
    return run


def _ended(run: Rollout, member: RolloutMember, restart: RestartSeen, now: float) -> Rollout:
    if restart.succeeded is None:
        return _over(run, member, MemberStage.SKIPPED, RunReason.RESTART_CANCELLED, now)
    if restart.succeeded:
        return _over(run, member, MemberStage.DONE, None, now)
    return _over(run, member, MemberStage.FAILED, restart.reason, now)


def _followed_other(run: Rollout, member: RolloutMember, restart: RestartSeen, now: float, waits: Waits) -> Rollout:
    """Count a restart of others that began after ours was asked for: ours may have come before it.

    A server that waits counts as restarted by one that succeeded.
    """
    if restart.is_open:
        is_late = waits.is_over(member.server, RestartPoint.OTHER, WARM_PATIENCE_S)
        return _over(run, member, MemberStage.FAILED, RunReason.NOT_STARTED, now) if is_late else run
    if restart.succeeded:
        return _over(run, member, MemberStage.DONE, RunReason.RESTARTED_MEANWHILE, now)
    return _ended(run, member, restart, now) if member.stage is MemberStage.RESTARTING else run


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


def _unbegun(run: Rollout, waits: Waits) -> list[RolloutMember]:
    """Return the members that wait, and those whose restart was held back and has certainly not begun."""
    return [
        one
        for one in run.members
        if one.stage is MemberStage.WAITING
        or (one.stage is MemberStage.RESTARTING and waits.is_over(one.server, RestartPoint.HELD, SEEN_WITHIN_S))
    ]


def _advanced(run: Rollout, facts: Facts, now: float, waits: Waits) -> Rollout:
    """Decide on as many restarts as there is room for, of servers that are not warm first; give up what cannot be."""
    run = _without_impossible(run, facts, now, waits)
    room, changed = Room(run, facts), []
    waiting = [one for one in run.members if one.stage is MemberStage.WAITING]
    for member in sorted(waiting, key=lambda one: room.is_warm(one.server)):
        if room.obstacle(member) is None:
            changed.append(_decided(member, facts[member.server], now))
            room.take(member.server)
    return _given_up(run.with_members(changed, now), facts, now, waits)


def _without_impossible(run: Rollout, facts: Facts, now: float, waits: Waits) -> Rollout:
    """Skip what can never be restarted, so that a restart that was held back leaves its room to others at once."""
    room, unbegun = Room(run, facts), _unbegun(run, waits)
    reasons = {one.server: room.obstacle(one) for one in unbegun}
    return _skipped(run, [one for one in unbegun if reasons[one.server] in SKIPS], reasons, now)


def _decided(member: RolloutMember, seen: ServerFacts, now: float) -> RolloutMember:
    """Return the member whose restart is to be asked for."""
    before = seen.restart.id if seen.restart is not None else None
    asked = member.moved(MemberStage.RESTARTING, now)
    return replace(asked, was_failed=seen.state is State.FAILED, before=before)


def _given_up(run: Rollout, facts: Facts, now: float, waits: Waits) -> Rollout:
    """Skip servers that are held back once nothing else is left; end a run that cannot go on."""
    unbegun = _unbegun(run, waits)
    left = sum(not one.is_over for one in run.members)
    if waits.quiet_s < SKIP_AFTER_S or left > len(unbegun):
        return run
    waits_for = obstacles(run, facts)
    if all(waits_for.get(one.server) in HELD_BACK.values() for one in unbegun):
        return _skipped(run, unbegun, waits_for, now)
    if waits.quiet_s >= NO_PROGRESS_S:
        return replace(run, state=RunState.ABORTED, reason=RunReason.NO_PROGRESS, moved_at=now)
    return run


def _skipped(
    run: Rollout, members: Collection[RolloutMember], reasons: Mapping[str, RunReason | None], now: float
) -> Rollout:
    return run.with_members([one.moved(MemberStage.SKIPPED, now, reasons[one.server]) for one in members], now)


def _concluded(run: Rollout, now: float, waits: Waits) -> Rollout:
    """Skip what an ended run will not restart; note its end once its last restart has ended."""
    if run.state in (RunState.ABORTED, RunState.CANCELLED):
        run = _skipped(run, _unbegun(run, waits), {one.server: RunReason.RUN_ENDED for one in run.members}, now)
    if run.ended_at is not None or not all(one.is_over for one in run.members):
        return run
    return replace(run, state=RunState.DONE if run.is_going_on else run.state, ended_at=now)
