"""Carries the rolling restart out: looks at the fleet, stores each step, and then asks for the restarts."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.core.messages import Message, message
from statemachine.core.ports import Action, ActionRefusedError, Clock, NotOwnedError, NotStoredError, Operator
from statemachine.core.restart import Restart, RestartCause, RestartStage, RestartTerms
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
from statemachine.core.rollout_step import refused, requests, step
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Notice
from statemachine.i18n.render import MessageError
from statemachine.rollouts.store import RolloutConflictError, RolloutStore, RolloutsUnavailableError
from statemachine.rollouts.watch import RunWatch

LOOK_S = 1.0
"""The time between two looks at the fleet while a run goes on."""

IDLE_S = 5.0
"""The time between two looks at whether another node of a cluster has stored a run."""

ASK_AGAIN_S = 10.0
"""How long a restart that was asked for may stay unseen before it is asked for again, which is harmless."""

RETRIES = 5
"""How often a client's action is tried while other nodes write the run."""

_NOTICES = {
    RunState.RUNNING: Notice.ROLLOUT_RESUMED,
    RunState.PAUSED: Notice.ROLLOUT_PAUSED,
    RunState.DONE: Notice.ROLLOUT_DONE,
    RunState.ABORTED: Notice.ROLLOUT_ABORTED,
    RunState.CANCELLED: Notice.ROLLOUT_CANCELLED,
}


class RolloutRefusedError(MessageError):
    """A client's request cannot be carried out. `code` is stable, for programs."""

    def __init__(self, code: str, what: Message) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True, slots=True)
class RolloutPorts:
    """What rolling restarts need of the daemon.

    `views` returns the servers of the whole fleet, `hooked` the names of those whose settings have a restart hook.
    `is_renewed` returns whether a server was loaded and has no verdict for a moment, `notify` records a notice.
    """

    store: RolloutStore
    views: Callable[[], Iterable[ServerView]]
    hooked: Callable[[], Collection[str]]
    operator: Operator
    clock: Clock
    notify: Callable[[Notice, Message], None]
    is_renewed: Callable[[str], bool] = lambda _: False


class Rollouts:
    """The rolling restart of the fleet. Call all methods on the event loop."""

    def __init__(self, ports: RolloutPorts) -> None:
        self._ports = ports
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._watch: RunWatch | None = None
        self._trouble = ""
        self.changes = 0
        """How often this daemon has changed the run."""

    async def latest(self) -> Rollout | None:
        """Return the latest run, which may have ended. Raises RolloutsUnavailableError."""
        return (await self._ports.store.load()).run

    def hooked(self) -> Collection[str]:
        """Return the names of the servers whose settings have a restart hook."""
        return self._ports.hooked()

    def facts(self) -> Facts:
        """Return what is seen of the fleet now."""
        hooked, is_renewed = self._ports.hooked(), self._ports.is_renewed
        return {
            one.name: _facts(one, has_hook=one.name in hooked, is_renewed=is_renewed(one.name))
            for one in self._ports.views()
        }

    async def start(self, group: str, limits: RolloutLimits, by: str | None) -> Rollout:
        """Start a run over a group that has servers. Raises RolloutRefusedError or RolloutsUnavailableError."""
        facts, now = self.facts(), self._ports.clock.now()
        _require_hooks(group, facts)
        run = new_rollout(self._ports.clock.new_id(), group, limits, facts, by, now)
        async with self._lock:
            before, revision = await self._ports.store.load()
            if before is not None and before.ended_at is None:
                raise RolloutRefusedError("rollout_open", _still_open(before))
            try:
                await self._ports.store.save(run, revision)
                self.changes += 1
            except RolloutConflictError as error:
                raise RolloutRefusedError("rollout_open", message("rollout.started_elsewhere")) from error
        self._ports.notify(Notice.ROLLOUT_STARTED, _described(run, by))
        self._wake.set()
        return run

    async def act(self, action: RolloutAction, by: str | None, run_id: str | None = None) -> Rollout:
        """Pause, resume or cancel the run, if it is the one that the client has seen (None: any).

        Raises RolloutRefusedError or RolloutsUnavailableError.
        """
        for _ in range(RETRIES):
            try:
                run = await self._act(action, by, run_id)
            except RolloutConflictError:
                continue
            self._wake.set()
            return run
        raise RolloutsUnavailableError("other nodes write the run at the moment")

    async def run(self) -> None:
        """Carry runs out until cancelled."""
        while True:
            try:
                await self._look()
                self._trouble = ""
            except (RolloutsUnavailableError, RolloutConflictError, NotOwnedError, NotStoredError) as error:
                self._report(error)
            except Exception:
                logger.exception("internal error in the rolling restart; it goes on")
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self._watch is not None else IDLE_S):
                    await self._wake.wait()

    async def _act(self, action: RolloutAction, by: str | None, run_id: str | None) -> Rollout:
        async with self._lock:
            before, revision = await self._ports.store.load()
            if before is None:
                raise RolloutRefusedError("no_rollout", message("rollout.none"))
            if run_id not in (None, before.id):
                raise RolloutRefusedError("another_rollout", message("rollout.another", group=before.group))
            run = acted(before, action, by, self._ports.clock.now())
            if run is None:
                raise RolloutRefusedError("rollout_over", message("rollout.over", state=_state(before)))
            await self._save(before, run, revision, by)
        return run

    async def _look(self) -> None:
        if not self._ports.store.may_run:
            self._watch = None
            return
        async with self._lock:
            before, revision = await self._ports.store.load()
            if before is None or before.ended_at is not None:
                self._watch = None
                return
            facts, watch = self.facts(), self._watched(before)
            waits = watch.look(before, facts, asyncio.get_running_loop().time())
            run = step(before, facts, self._ports.clock.now(), waits)
            await self._save(before, run, revision, None)
        await self._request_all(requests(run, facts, watch.asked), watch)

    def _watched(self, run: Rollout) -> RunWatch:
        if self._watch is None or self._watch.run != run.id:
            self._watch = RunWatch(run.id)
        return self._watch

    async def _save(self, before: Rollout, after: Rollout, revision: int, by: str | None) -> None:
        if after == before:
            return
        await self._ports.store.save(after, revision)
        self.changes += 1
        if after.state is not before.state:
            self._ports.notify(_NOTICES[after.state], _described(after, by, "rollout.changed_by"))

    async def _request_all(self, members: Sequence[RolloutMember], watch: RunWatch) -> None:
        """Ask for restarts whose decision is stored; one that cannot be asked delays no other."""
        failure: NotOwnedError | NotStoredError | None = None
        for member in members:
            now = asyncio.get_running_loop().time()
            if now - watch.asked.get(member.server, now - ASK_AGAIN_S) < ASK_AGAIN_S:
                continue
            watch.asked[member.server] = now
            try:
                await self._request(member, watch.run)
            except (NotOwnedError, NotStoredError) as error:
                failure = error
        if failure is not None:
            raise failure

    async def _request(self, member: RolloutMember, run_id: str) -> None:
        """Ask for a restart, unless a client has stopped the run meanwhile. A repeated request changes nothing."""
        async with self._lock:
            run, revision = await self._ports.store.load()
            if run is None or run.id != run_id or run.state is not RunState.RUNNING or member not in run.members:
                return
            terms = RestartTerms(RestartCause.ROLLOUT, run.restart_id(member))
            try:
                await self._ports.operator.act(member.server, Action.RESTART, run.by, terms)
            except ActionRefusedError as error:
                logger.warning("the restart of {} was refused: {}", member.server, error)
                await self._save(run, refused(run, member.server, self._ports.clock.now()), revision, None)

    def _report(self, error: Exception) -> None:
        """Log trouble once, not each second."""
        if (trouble := f"{type(error).__name__}: {error}") != self._trouble:
            logger.warning("the rolling restart cannot go on at the moment: {}", trouble)
        self._trouble = trouble


def _require_hooks(group: str, facts: Facts) -> None:
    members = [one for one in facts.values() if one.group == group]
    without = [one.name for one in members if not one.has_hook]
    if without:
        code = "rollout.no_hooks" if len(without) == len(members) else "rollout.no_hook"
        raise RolloutRefusedError("no_restart_hook", message(code, group=group, servers=without[:10]))


def _facts(view: ServerView, *, has_hook: bool, is_renewed: bool) -> ServerFacts:
    restart = None if view.restart is None else _seen(view.restart)
    return ServerFacts(view.name, view.group, view.state, view.workflows, has_hook, restart, is_renewed)


def _seen(restart: Restart) -> RestartSeen:
    ended = {RestartStage.SUCCEEDED: True, RestartStage.FAILED: False}
    reason = restart.reason.value if restart.reason is not None else None
    return RestartSeen(
        restart.id, restart.is_open, ended.get(restart.stage), reason, has_returned=restart.returned_at is not None
    )


def _still_open(run: Rollout) -> Message:
    """Return why no run can be started: one goes on, or the restarts of one that was ended early do."""
    if run.is_going_on:
        return message("rollout.open", group=run.group)
    count = run.counts()[MemberStage.RESTARTING]
    return message("rollout.ending", group=run.group, state=_state(run), count=count)


def _described(run: Rollout, by: str | None, code: str = "rollout.by") -> Message:
    counts = {stage.value: count for stage, count in run.counts().items()}
    what = message("rollout.progress", group=run.group, total=len(run.members), **counts)
    if run.reason is not None:
        what = message("rollout.because", what=what, why=message(f"rollout.reason.{run.reason.value}"))
    return message(code, what=what, by=by) if by is not None else what


def _state(run: Rollout) -> Message:
    return message(f"rollout.state.{run.state.value}")
