"""Simulated days with restarts by a hook: hooks that fail, hang or restart another server, and crashes at each step."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.simulation.daemon import REAL_PARTS, Parts, SimDaemon
from campaigns.simulation.disk import DiskWatcher
from campaigns.simulation.lasting_rules import LastingRules
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.run import run_simulation
from campaigns.simulation.simulation import TAIL, Result, Simulation
from statemachine.core.messages import verbatim
from statemachine.core.ports import Action
from statemachine.core.restart import OPEN_STAGES, Restart, RestartCause, RestartStage
from statemachine.core.vocabulary import State
from statemachine.journal.restart_rows import RESTART_COLUMNS
from statemachine.journal.store import Write
from statemachine.repair.port import HookError, HookRunner
from statemachine.settings.restarts import RestartSettings
from statemachine.settings.servers import ServerConfig

EMPTY_WITHIN_S = 10.0
"""A hook may run only if the server's queue was empty so recently: a user's prompt may arrive after the last look."""

ASKED_EVERY_S = 90.0
LOOK_S = 0.5
ID, STAGE = RESTART_COLUMNS.index("id"), RESTART_COLUMNS.index("stage")


class RestartFault(StrEnum):
    """What happens around restarts."""

    ASKED = "restart asked for"
    WORKER = "worker lost"
    CRASH = "crash at a restart"
    HOOK_WELL = "hook restarts its server"
    HOOK_QUICK = "hook restarts its server within an instant"
    HOOK_FAILS = "hook fails"
    HOOK_HANGS = "hook hangs"
    HOOK_ELSEWHERE = "hook restarts another server"
    HOOK_ENDS = "hook ends its server for good"


EFFECTS: dict[RestartFault, float] = {
    RestartFault.HOOK_WELL: 6.0,
    RestartFault.HOOK_QUICK: 1.0,
    RestartFault.HOOK_FAILS: 1.0,
    RestartFault.HOOK_HANGS: 0.5,
    RestartFault.HOOK_ELSEWHERE: 1.0,
    RestartFault.HOOK_ENDS: 0.5,
}


@dataclass
class RestartLedger:
    """What hooks and the journal have shown. `step` is set when a hook is recorded, and when it runs."""

    recorded: set[str] = field(default_factory=set)
    runs: Counter[str] = field(default_factory=Counter)
    empty_at: dict[str, float] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Servers that did not answer when their restart was requested."""
    step: asyncio.Event = field(default_factory=asyncio.Event)

    def take_step(self) -> None:
        """Wake a crash that waits for a step of a restart."""
        self.step.set()
        self.step.clear()


class RestartWatcher:
    """Passes the writes on, and notes the hooks that are recorded."""

    def __init__(self, inner: DiskWatcher, ledger: RestartLedger) -> None:
        self._inner, self._ledger = inner, ledger

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None:
        """Note each restart that is stored with the hook as its stage."""
        self._inner.committed(batch, numbers)
        for write in batch:
            if write.restart is not None and write.restart[STAGE] == RestartStage.HOOK.value:
                self._ledger.recorded.add(write.restart[ID])
                self._ledger.take_step()

    def write_failed(self) -> None:
        """Pass a failed write on."""
        self._inner.write_failed()


class SimHooks(HookRunner):
    """Hooks that do something to the simulated servers; what they have begun goes on after the daemon's crash."""

    def __init__(self, simulation: "RestartSimulation", daemon: SimDaemon) -> None:
        self._simulation, self._daemon = simulation, daemon

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        if self._daemon.dead:
            await asyncio.Event().wait()
        effect = self._simulation.hook_runs(server.name, restart)
        if effect is RestartFault.HOOK_HANGS:
            await asyncio.sleep(server.restart.hook_timeout_s)
        if effect in (RestartFault.HOOK_HANGS, RestartFault.HOOK_FAILS):
            raise HookError(verbatim(effect.value))
        await asyncio.sleep(1.0)


class RestartSimulation(Simulation):
    """A simulation whose servers have hooks, lose their workers and are restarted."""

    def __init__(
        self, seed: int, folder: Path, parts: Parts, without: Collection[StrEnum], *, keep: int | None
    ) -> None:
        super().__init__(seed, folder, parts, without, keep=keep)
        self._ledger = RestartLedger()
        self._adverse: list[asyncio.Task[None]] = []
        self.disk.watcher = RestartWatcher(self.disk.watcher, self._ledger)
        self._chance = self._rng("restarts")
        self._settings = drawn_settings(self._chance)
        settings = self._scenario.settings.model_copy(update={"restart": self._settings})
        self._scenario = replace(self._scenario, settings=settings)

    @override
    def _hooks(self, daemon: SimDaemon) -> HookRunner:
        return SimHooks(self, daemon)

    @override
    async def _run_scenario(self) -> None:
        self.spawn(self._watch_queues())
        loop = asyncio.get_running_loop()
        self._adverse = [loop.create_task(self._ask()), loop.create_task(self._crash_at_steps())]
        await super()._run_scenario()

    @override
    async def _stop_faults(self) -> None:
        for task in self._adverse:
            task.cancel()
        await asyncio.gather(*self._adverse, return_exceptions=True)
        await super()._stop_faults()

    @override
    async def _clean_up(self, *tasks: asyncio.Task[Any]) -> None:
        await super()._clean_up(*tasks, *self._adverse)

    async def _watch_queues(self) -> None:
        """Note when each server's queue is empty."""
        while True:
            for name, wire in self.wires.items():
                if not wire.server.up or not wire.server.process.queue.remaining:
                    self._ledger.empty_at[name] = asyncio.get_running_loop().time()
            await asyncio.sleep(LOOK_S)

    async def _ask(self) -> None:
        """Ask for restarts, and end workers, until the faults end."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1.0 / ASKED_EVERY_S))
            name = self._chance.choice(list(self.wires))
            if self._chance.random() < 0.7:
                self._faults.counts[RestartFault.ASKED] += 1
                self.act(name, Action.RESTART.value)
            else:
                self._lose_worker(name)

    def _lose_worker(self, name: str) -> None:
        server = self.wires[name].server
        if server.up:
            self._faults.counts[RestartFault.WORKER] += 1
            self.note(name, "action:", RestartFault.WORKER.value)
            server.lose_worker()
            for _ in range(2):
                server.start_foreign_job(1.0)

    async def _crash_at_steps(self) -> None:
        """Kill the daemon at some of the steps of restarts, or shortly afterwards."""
        while True:
            await self._ledger.step.wait()
            if self._chance.random() < 0.3:
                await asyncio.sleep(self._chance.choice((0.0, 0.0, 0.0005, 0.002, 0.3, 2.0, 20.0)))
                self._faults.counts[RestartFault.CRASH] += 1
                await self.crash(self._chance.choice((0.0, 0.1, 3.0, 40.0)))

    @override
    def note(self, server: str, *what: object) -> None:
        """Note servers that did not answer when their restart was requested."""
        super().note(server, *what)
        if list(what[1:3]) == ["->", State.DRAINING.value]:
            (self._ledger.away.add if what[0] == State.UNREACHABLE.value else self._ledger.away.discard)(server)

    # Called by the hooks

    def hook_runs(self, name: str, restart: Restart) -> RestartFault:
        """Check that this hook may run, and begin its effect; without faults it is well."""
        self.note(name, "HOOK", restart.id, restart.cause.value)
        self._ledger.runs[restart.id] += 1
        if self._ledger.runs[restart.id] > 1:
            self.fail(name, f"hook repeated: the hook of restart {restart.id} was run twice")
        if restart.id not in self._ledger.recorded:
            self.fail(name, f"hook unrecorded: restart {restart.id} was not in the journal")
        self._check_drained(name, restart)
        ledger = self._invariants.ledgers[name]
        ledger.excused.add(ledger.prompt)
        if restart.cause is RestartCause.STUCK:  # `max_per_day` limits these
            ledger.forget_failures()
        self._ledger.take_step()
        kinds, weights = list(EFFECTS), list(EFFECTS.values())
        (effect,) = self._chance.choices(kinds, weights) if self._faults.active else (RestartFault.HOOK_WELL,)
        self._faults.counts[effect] += 1
        self.note(name, "hook:", effect.value)
        self.spawn(self._affect(name, effect))
        return effect

    def _check_drained(self, name: str, restart: Restart) -> None:
        """Check that users' prompts have finished, unless the settings or the server's fault say otherwise."""
        waived = restart.cause is RestartCause.STUCK or self._settings.when_not_drained == "go_on"
        away = name in self._ledger.away
        busy_s = asyncio.get_running_loop().time() - self._ledger.empty_at.get(name, -1e9)
        if not waived and not away and busy_s > EMPTY_WITHIN_S:
            self.fail(name, f"hook over prompts: the queue was last empty {busy_s:.0f} s ago")

    async def _affect(self, name: str, effect: RestartFault) -> None:
        server = self.wires[name].server
        if effect is RestartFault.HOOK_ELSEWHERE:
            server = self.wires[self._chance.choice(list(self.wires))].server
        if effect in (RestartFault.HOOK_FAILS, RestartFault.HOOK_HANGS):
            return
        await asyncio.sleep(0.0 if effect is RestartFault.HOOK_QUICK else 0.5)
        await server.go_down()
        if effect is not RestartFault.HOOK_ENDS:
            await asyncio.sleep(0.0 if effect is RestartFault.HOOK_QUICK else self._chance.uniform(2.0, 60.0))
            await server.come_back()

    # The end

    @override
    def _check_calm(self, lasting: LastingRules) -> None:
        super()._check_calm(lasting)
        with closing(sqlite3.connect(self.disk.path)) as file:
            stages = dict(file.execute("SELECT server, stage FROM restarts").fetchall())
        for ledger in self._ledgers():
            name, is_open = ledger.plan.name, stages.get(ledger.plan.name) in [stage.value for stage in OPEN_STAGES]
            if ledger.state in (State.DRAINING, State.RESTARTING) or (is_open and ledger.state is State.LOADED):
                self.fail(name, f"restart forgotten: {ledger.state.value}, and its restart is {stages.get(name)}")


def drawn_settings(rng: Random) -> RestartSettings:
    """Draw how the servers are restarted."""
    return RestartSettings(
        command=("restart",),
        hook_timeout_s=30,
        drain_timeout_s=rng.choice((60, 600)),
        when_not_drained=rng.choice(("give_up", "give_up", "go_on")),
        return_timeout_s=180,
        when_stuck=True,
        min_pause="1m",
        max_per_day=100,
    )


def run_restart_seed(
    seed: int, *, parts: Parts = REAL_PARTS, without: Collection[StrEnum] = (), full_trace: bool = False
) -> Result:
    """Run one seed with restarts. With the same PYTHONHASHSEED, the same seed gives the same run."""
    keep = None if full_trace else TAIL
    return run_simulation(VirtualLoop, lambda folder: RestartSimulation(seed, folder, parts, without, keep=keep))
