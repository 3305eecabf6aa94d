"""Whether a fleet has room for one more restart of a rolling restart.

A server is restarted only while its group has room for one more server that is not warm, for any cause, and while
another server is warm for each of its workflows. A server that was loaded and has no verdict for a moment counts as
warm, or a busy fleet would never have room.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from enum import Enum, auto

from statemachine.core.rollout import Facts, MemberStage, Rollout, RolloutMember, RunReason, RunState, ServerFacts
from statemachine.core.vocabulary import State

HELD_BACK = {State.PAUSED: RunReason.SERVER_PAUSED, State.UNREACHABLE: RunReason.SERVER_UNREACHABLE}
SKIPS = frozenset({RunReason.SERVER_REMOVED, RunReason.NO_HOOK, RunReason.ONLY_SERVER})
_NOT_WARM = frozenset({State.COLD, State.FAILED, State.AUTO_EXECUTING, State.SUBMITTING, State.WARMING})
"""States that a check has led to: the server serves none of its workflows. Others may be warm without a verdict."""


class RestartPoint(Enum):
    """Where a restart is that was decided on and has not ended.

    DUE: to be requested. HELD: not seen either, and not to be requested now. OTHER: another restart of the server is
    under way. RETURNED: the server is back and not warm yet.
    """

    DUE = auto()
    HELD = auto()
    OTHER = auto()
    UNDER_WAY = auto()
    RETURNED = auto()


def points(run: Rollout, facts: Facts, asked: Collection[str] = frozenset()) -> dict[str, RestartPoint]:
    """Return where the restart of each server is. Those that were `asked` may have begun although it is not seen."""
    unseen = _unseen(run, facts)
    room = Room(run, facts, free={one.server for one in unseen} - set(asked)) if unseen else None
    found = _seen_points(run, facts)
    for member in unseen:
        is_due = room is not None and run.state is RunState.RUNNING and room.obstacle(member) is None
        found[member.server] = RestartPoint.DUE if is_due else RestartPoint.HELD
        if room is not None and is_due:
            room.take(member.server)
    return found


def obstacles(run: Rollout, facts: Facts) -> dict[str, RunReason | None]:
    """Return what each waiting server waits for, and what holds a restart back that was decided on."""
    room = Room(run, facts)
    paused = RunReason.RUN_PAUSED if run.state is RunState.PAUSED else None
    waiting = {one.server: paused or room.obstacle(one) for one in run.members if one.stage is MemberStage.WAITING}
    held = {one.server: reason for one in _unseen(run, facts) if (reason := room.obstacle(one)) is not None}
    return waiting | held


def has_begun(member: RolloutMember, seen: ServerFacts) -> bool:
    """Return whether the server was restarted since the run began, or since its restart was decided on."""
    return seen.restart is not None and seen.restart.id != member.before


def _restarting(run: Rollout) -> list[RolloutMember]:
    return [one for one in run.members if one.stage is MemberStage.RESTARTING]


def _unseen(run: Rollout, facts: Facts) -> list[RolloutMember]:
    """Return the members whose restart was decided on and is not seen to have begun."""
    return [one for one in _restarting(run) if one.server in facts and not has_begun(one, facts[one.server])]


def _seen_points(run: Rollout, facts: Facts) -> dict[str, RestartPoint]:
    found = {}
    for member in _restarting(run):
        seen = facts.get(member.server)
        if seen is None or seen.restart is None or not seen.restart.is_open or not has_begun(member, seen):
            continue
        if seen.restart.id != run.restart_id(member):
            found[member.server] = RestartPoint.OTHER
        else:
            found[member.server] = RestartPoint.RETURNED if seen.restart.has_returned else RestartPoint.UNDER_WAY
    return found


class Room:
    """How many servers of each group, and of each workflow, are warm now, less those that the run takes away.

    `free`: servers that the run has decided to restart and that still count as they are.
    """

    def __init__(self, run: Rollout, facts: Facts, free: Collection[str] = frozenset()) -> None:
        self._run = run
        self._facts = facts
        taken = {one.server for one in _restarting(run)}.difference(free)
        warm = [one for one in facts.values() if one.state is State.LOADED or one.is_renewed]
        self._warm = {one.name for one in warm} - taken
        self._away = Counter(one.group for one in facts.values() if one.name not in self._warm)
        self._warm_for = _count(one for one in warm if one.name in self._warm)
        self._servers_for = _count(facts.values())

    def is_warm(self, server: str) -> bool:
        """Return whether the server is warm and stays so."""
        return server in self._warm

    def take(self, server: str) -> None:
        """Count a server as away, because it is restarted."""
        seen = self._facts[server]
        if self.is_warm(server):
            self._away[seen.group] += 1
            self._warm_for.subtract(set(seen.workflows))
        self._warm.discard(server)

    def obstacle(self, member: RolloutMember) -> RunReason | None:
        """Return what keeps a server from being restarted now, None if nothing does."""
        seen = self._facts.get(member.server)
        if seen is None:
            return RunReason.SERVER_REMOVED
        if not seen.has_hook:
            return RunReason.NO_HOOK
        if any(self._servers_for[one] == 1 for one in seen.workflows):
            return RunReason.ONLY_SERVER
        if seen.restart is not None and seen.restart.is_open:
            return RunReason.ANOTHER_RESTART
        return HELD_BACK.get(seen.state) or self._lack(seen)

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
