"""A model of a fleet under a rolling restart, and the rules that hold at every instant."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from statemachine.core.rollout import (
    Facts,
    MemberStage,
    RestartSeen,
    Rollout,
    RolloutAction,
    RolloutLimits,
    RolloutMember,
    RunState,
    ServerFacts,
    acted,
    new_rollout,
)
from statemachine.core.rollout_step import Waits
from statemachine.core.vocabulary import State
from statemachine.rollouts.watch import RunWatch

RUN = "run-1"
FLAPS = (State.UNKNOWN, State.CHECKING, State.COLD, State.WARMING, State.UNREACHABLE, State.FAILED, State.PAUSED)


class Steps(Protocol):
    """The functions of `statemachine.core.rollout_step`, or of a copy with a planted fault."""

    def step(self, run: Rollout, facts: Facts, now: float, waits: Waits = ...) -> Rollout: ...

    def requests(self, run: Rollout, facts: Facts, asked: Collection[str] = ...) -> list[RolloutMember]: ...


class RuleBrokenError(AssertionError):
    """A rule of rolling restarts does not hold."""


def require(holds: bool, rule: str) -> None:
    if not holds:
        raise RuleBrokenError(rule)


@dataclass
class World:
    """The servers, and the restarts that were carried out: `hooks` counts them by server and run."""

    random: Random
    servers: dict[str, ServerFacts]
    now: float = 1_000.0
    hooks: Counter[tuple[str, str]] = field(default_factory=Counter)
    calm: bool = False

    def request(self, server: str, restart: str) -> None:
        """Begin a restart, as a server does: once for each id, and never while one is open."""
        seen = self.servers.get(server)
        if seen is None or (seen.restart is not None and (seen.restart.is_open or seen.restart.id == restart)):
            return
        self.hooks[server, restart] += 1
        begun = RestartSeen(restart, is_open=True)
        self.servers[server] = seen._replace(state=State.DRAINING, restart=begun, is_renewed=False)

    def pass_time(self) -> None:
        self.now += self.random.choice((1.0, 1.0, 5.0, 60.0, 600.0))
        for name, seen in list(self.servers.items()):
            if seen.restart is not None and seen.restart.is_open:
                self.servers[name] = self._restarting(seen, seen.restart)
            elif not self.calm:
                self._trouble(seen)

    def _restarting(self, seen: ServerFacts, restart: RestartSeen) -> ServerFacts:
        luck = self.random.random()
        if luck < 0.5:
            return seen
        if not self.calm and luck > 0.9:
            ended = restart._replace(is_open=False, succeeded=self.random.choice((False, False, None)), reason="x")
            return seen._replace(state=State.FAILED, restart=ended)
        if not restart.has_returned:
            return seen._replace(state=State.UNKNOWN, restart=restart._replace(has_returned=True))
        return seen._replace(state=State.LOADED, restart=restart._replace(is_open=False, succeeded=True))

    def _trouble(self, seen: ServerFacts) -> None:
        luck = self.random.random()
        seen = seen._replace(is_renewed=False)
        if luck < 0.05:
            self.servers[seen.name] = seen._replace(state=self.random.choice(FLAPS))
        elif luck < 0.1 and seen.state is State.LOADED:
            self.servers[seen.name] = seen._replace(state=State.CHECKING, is_renewed=True)
        elif luck < 0.4:
            self.servers[seen.name] = seen._replace(state=State.LOADED)
        elif luck < 0.405:
            del self.servers[seen.name]
        elif luck < 0.41:
            self.servers[seen.name] = seen._replace(has_hook=False)
        elif luck < 0.42:
            self.request(seen.name, f"other-{self.now}")


def new_world(random: Random, *, calm: bool = False) -> World:
    groups = random.choice((("a",), ("a", "b")))
    names = [f"s{number}" for number in range(random.randint(2, 9))]
    workflows = random.choice((("w",), ("w", "v")))
    servers = {
        name: ServerFacts(
            name,
            random.choice(groups) if number else "a",
            State.LOADED if calm else random.choice((State.LOADED, *FLAPS)),
            tuple(one for one in workflows if random.random() < 0.8),
        )
        for number, name in enumerate(names)
    }
    return World(random, servers, calm=calm)


def check_starts(before: Rollout, after: Rollout, world: World) -> None:
    """Require the rules of every server that this step decided to restart."""
    stages = {one.server: one.stage for one in before.members}
    started = {
        one.server
        for one in after.members
        if one.stage is MemberStage.RESTARTING and stages[one.server] is MemberStage.WAITING
    }
    open_now = {one.server for one in after.members if one.stage is MemberStage.RESTARTING}
    warm = {name for name, one in world.servers.items() if _is_warm(one) and name not in open_now}
    asked = {name for name in started if not _has_own_restart(world, name)}
    require(not asked or before.state is RunState.RUNNING, "only a running run restarts servers")
    for name in asked:
        seen = world.servers[name]
        away = [one for one, other in world.servers.items() if other.group == seen.group and one not in warm]
        require(len(away) <= after.limits.max_unavailable, "never more than max_unavailable")
        require(seen.has_hook, "no server without a hook is asked for")
        require(seen.state not in (State.PAUSED, State.UNREACHABLE), "no paused or unreachable server is asked for")
        require(seen.restart is None or not seen.restart.is_open, "no server is asked for that another restart has")
        if _is_warm(seen):
            left = [set(world.servers[one].workflows) for one in warm]
            require(all(any(w in one for one in left) for w in seen.workflows), "the last warm server stays")


def check_requests(run: Rollout, asked: Sequence[RolloutMember], before: Collection[str], world: World) -> None:
    """Require the rules of every server that is asked to restart: much may have happened since the decision."""
    require(not asked or run.state is RunState.RUNNING, "only a running run asks for restarts")
    away = {name for name, one in world.servers.items() if not _is_warm(one) or name in before}
    for member in asked:
        seen = world.servers[member.server]
        others = [one for one in away if one != seen.name and world.servers[one].group == seen.group]
        require(len(others) < run.limits.max_unavailable, "no request without room")
        require(seen.state not in (State.PAUSED, State.UNREACHABLE), "no request for a server that is held back")
        if _is_warm(seen):
            left = [set(one.workflows) for name, one in world.servers.items() if name not in {*away, seen.name}]
            require(all(any(w in one for one in left) for w in seen.workflows), "no request for the last warm server")
        away.add(seen.name)


def _is_warm(seen: ServerFacts) -> bool:
    return seen.state is State.LOADED or seen.is_renewed


def _has_own_restart(world: World, name: str) -> bool:
    seen = world.servers.get(name)
    return seen is not None and seen.restart is not None and seen.restart.id.startswith(RUN)


def check_order(before: Rollout, after: Rollout) -> None:
    """Require that no stage goes back, and that a run that is over stays so."""
    for old, new in zip(before.members, after.members, strict=True):
        require(not old.is_over or new == old, "what is over stays over")
        require(old.stage is not MemberStage.RESTARTING or new.stage is not MemberStage.WAITING, "no stage goes back")
    require(before.is_going_on or after.state is before.state, "a run that was ended stays so")
    require(after.ended_at is None or all(one.is_over for one in after.members), "an ended run has no open restart")


def check_failures(after: Rollout, before: Collection[str]) -> None:
    """Require that enough failures in a row have ended the run, without those before it was resumed."""
    row = 0
    counted = [one for one in after.members if one.server not in before]
    over = [one for one in counted if one.stage in (MemberStage.DONE, MemberStage.FAILED)]
    for one in sorted(over, key=lambda one: (one.at or 0.0, one.number)):
        row = 0 if one.stage is MemberStage.DONE else row + (not one.was_failed)
    require(row < after.limits.abort_after or after.state is not RunState.RUNNING, "failures in a row end the run")


def play(steps: Steps, random: Random, rounds: int = 60, *, calm: bool = False) -> Rollout:
    """Play a run over a world with faults, and crashes between its steps; raise RuleBrokenError."""
    world = new_world(random, calm=calm)
    limits = RolloutLimits(random.randint(1, 3), random.randint(1, 3))
    saved = new_rollout(RUN, "a", limits, world.servers, None, world.now)
    watch, earlier = RunWatch(RUN), set[str]()
    for _ in range(rounds):
        if not calm and random.random() < 0.05:
            action = random.choice(list(RolloutAction))
            after = acted(saved, action, None, world.now) or saved
            if after.is_going_on and not saved.is_going_on:
                earlier = {one.server for one in saved.members if one.is_over} - {one.server for one in saved.left}
            saved = after
        waits = watch.look(saved, world.servers, world.now)
        run = steps.step(saved, world.servers, world.now, waits)
        check_starts(saved, run, world)
        check_order(saved, run)
        check_failures(run, earlier)
        require(steps.step(run, world.servers, world.now, waits) == run, "a step that is repeated changes nothing")
        crash = 1.0 if calm else random.random()
        if crash > 0.05:
            saved = run
        if crash > 0.15:
            _request(steps, saved, watch, world)
        else:
            watch = RunWatch(RUN)
        require(all(count == 1 for count in world.hooks.values()), "a hook runs once")
        world.pass_time()
    return saved


def _request(steps: Steps, run: Rollout, watch: RunWatch, world: World) -> None:
    """Ask as the daemon does; some requests do not arrive, and clients stop the run while others are under way."""
    known = set(watch.asked)
    asked = steps.requests(run, world.servers, known)
    unseen = {one.server for one in run.members if one.stage is MemberStage.RESTARTING and one.server in known}
    check_requests(run, asked, unseen, world)
    for member in asked:
        watch.asked[member.server] = world.now
        if world.calm or world.random.random() > 0.2:
            world.request(member.server, run.restart_id(member))
