"""Simulated days with rolling restarts, over hooks that fail or hang and crashes of the daemon at each step."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from typing_extensions import override

from campaigns.simulation.daemon import REAL_PARTS, Parts, SimDaemon
from campaigns.simulation.lasting_rules import LastingRules
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.restart_hooks import HookFault
from campaigns.simulation.restarts import CALM_LOOK_S, LOOK_S, RestartSimulation
from campaigns.simulation.run import run_simulation
from campaigns.simulation.simulation import TAIL, Result
from statemachine.core.restart import Restart, RestartCause
from statemachine.core.rollout import MemberStage, Rollout, RolloutAction, RolloutLimits, RunReason
from statemachine.core.vocabulary import State
from statemachine.rollouts.service import RolloutPorts, RolloutRefusedError, Rollouts
from statemachine.rollouts.store import JournalRollouts, RolloutsUnavailableError
from statemachine.rollouts.watch import Renewals

GROUP = "default"
ROLLED_EVERY_S = 120.0
RESUMED_SHARE = 0.5
AWAY = frozenset({State.LOADED.value, State.FAILED.value, State.PAUSED.value})
"""States in which a restart has ended."""


class RolloutFault(StrEnum):
    """What clients do with rolling restarts."""

    STARTED = "rolling restart started"
    RESUMED = "ended rolling restart resumed"
    CHANGED = "rolling restart paused, resumed or cancelled"


class RolloutSimulation(RestartSimulation):
    """A simulation whose group is restarted a few servers at a time."""

    def __init__(
        self, seed: int, folder: Path, parts: Parts, without: Collection[StrEnum], *, keep: int | None
    ) -> None:
        super().__init__(seed, folder, parts, without, keep=keep)
        self._under_way: set[str] = set()
        """Servers whose hook was run for a rolling restart, and that are not warm again."""
        self._left: set[str] = set()
        """Restarts of servers that have left the settings, and so the run: if they come back, they go on."""
        self._rollouts: Rollouts | None = None
        self._run: Rollout | None = None

    @override
    async def _run_scenario(self) -> None:
        self.spawn(self._roll())
        await super()._run_scenario()

    @override
    def _start_daemon(self) -> None:
        super()._start_daemon()
        assert self._daemon is not None
        self._rollouts = self._rollouts_of(self._daemon)
        self.spawn(self._carry_out(self._daemon, self._rollouts))

    def _rollouts_of(self, daemon: SimDaemon) -> Rollouts:
        renewals = Renewals(asyncio.get_running_loop().time)
        daemon.snapshot.add_follower(renewals)
        return Rollouts(
            RolloutPorts(
                store=JournalRollouts(daemon.journal),
                views=lambda: daemon.snapshot,
                hooked=lambda: {one.name for one in daemon.fleet.config.servers if one.restart.hook is not None},
                operator=daemon.fleet,
                clock=self._clock,
                notify=daemon.recorder.notice,
                is_renewed=renewals.__contains__,
            )
        )

    async def _carry_out(self, daemon: SimDaemon, rollouts: Rollouts) -> None:
        """Carry runs out until the daemon crashes."""
        task = asyncio.create_task(rollouts.run())
        try:
            while not daemon.dead:
                with suppress(RolloutsUnavailableError):
                    self._saw(await rollouts.latest() or self._run)
                await asyncio.sleep(LOOK_S if self._faults.active else CALM_LOOK_S)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _saw(self, run: Rollout | None) -> None:
        self._run = run
        if run is not None:
            gone = [one for one in run.members if one.reason == RunReason.SERVER_REMOVED]
            self._left.update(map(run.restart_id, gone))
            self._under_way -= {one.server for one in gone}

    async def _roll(self) -> None:
        """Start runs, and change them, until the faults end."""
        while self._may_act():
            await asyncio.sleep(self._chance.expovariate(1.0 / ROLLED_EVERY_S))
            if self._may_act() and self._rollouts is not None:
                with suppress(RolloutRefusedError, RolloutsUnavailableError, asyncio.CancelledError):
                    await self._act_on(self._rollouts)

    def _may_act(self) -> bool:
        return self._faults.active

    async def _act_on(self, rollouts: Rollouts) -> None:
        is_open = self._run is not None and self._run.ended_at is None
        if not is_open and self._run is not None and self._run.left and self._chance.random() < RESUMED_SHARE:
            await rollouts.act(RolloutAction.RESUME, None, self._run.id)
            self._faults.counts[RolloutFault.RESUMED] += 1
            self.note("-", "rolling restart:", "resumed after its end")
        elif not is_open:
            limits = RolloutLimits(self._chance.randint(1, 3), self._chance.randint(1, 3))
            run = await rollouts.start(GROUP, limits, None)
            self._faults.counts[RolloutFault.STARTED] += 1
            self.note("-", "rolling restart:", run.id, str(limits))
            self._run = run
        elif self._chance.random() < 0.3:
            action = self._chance.choice((RolloutAction.PAUSE, RolloutAction.RESUME, RolloutAction.CANCEL))
            await rollouts.act(action, None)
            self._faults.counts[RolloutFault.CHANGED] += 1
            self.note("-", "rolling restart:", action.value)

    @override
    def note(self, server: str, *what: object) -> None:
        """Note servers whose restart has ended."""
        super().note(server, *what)
        if len(what) > 2 and what[1] == "->" and what[2] in AWAY:
            self._under_way.discard(server)

    @override
    def hook_runs(self, name: str, restart: Restart) -> HookFault:
        """Check that no more restarts of the run are under way than it may have."""
        if restart.cause is RestartCause.ROLLOUT and restart.id not in self._left:
            self._under_way.add(name)
            limit = self._run.limits.max_unavailable if self._run is not None else 0
            if len(self._under_way) > limit:
                self.fail(name, f"max unavailable: {sorted(self._under_way)} are restarted, at most {limit} may be")
            if self._run is None or not restart.id.startswith(self._run.id):
                self.fail(name, f"run forgotten: restart {restart.id} belongs to no run")
        return super().hook_runs(name, restart)

    @override
    async def _stop_faults(self) -> None:
        await super()._stop_faults()
        if self._rollouts is not None:
            with suppress(RolloutRefusedError):
                await self._rollouts.act(RolloutAction.CANCEL, None)  # the calm period is for servers at rest

    @override
    def _check_calm(self, lasting: LastingRules) -> None:
        super()._check_calm(lasting)
        run, rollouts = self._run, self._rollouts
        if run is None or rollouts is None or run.ended_at is not None:
            return
        facts = rollouts.facts()
        for member in run.members:
            seen = facts[member.server].restart
            if member.stage is MemberStage.RESTARTING and (seen is None or not seen.is_open):
                self.fail(member.server, f"run forgotten: {member} without a restart")
            if member.stage is MemberStage.WAITING:
                self.fail(member.server, f"run forgotten: {member} waits, and the run was cancelled")


def run_rollout_seed(
    seed: int, *, parts: Parts = REAL_PARTS, without: Collection[StrEnum] = (), full_trace: bool = False
) -> Result:
    """Run one seed with rolling restarts. With the same PYTHONHASHSEED, the same seed gives the same run."""
    keep = None if full_trace else TAIL
    return run_simulation(VirtualLoop, lambda folder: RolloutSimulation(seed, folder, parts, without, keep=keep))
