"""Simulated days with restarts by a hook: hooks that do anything, crashes, reloads and operators at each step."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.simulation.daemon import REAL_PARTS, Parts, SimDaemon
from campaigns.simulation.lasting_rules import LastingRules
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.reloads import edited, reload, sometimes_hookless
from campaigns.simulation.restart_hooks import TRANSIT_S, HookFault, affect, come_back, drawn_effect, take_time
from campaigns.simulation.restart_ledger import RestartLedger, RestartWatcher
from campaigns.simulation.restart_rules import RestartRules
from campaigns.simulation.restart_times import Moment
from campaigns.simulation.run import run_simulation
from campaigns.simulation.simulation import CALM_POLL_S, POLL_S, TAIL, Result, Simulation, is_as_expected
from statemachine.core.ports import Action
from statemachine.core.restart import Restart, RestartCause, RestartStage
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.repair.port import HookRunner
from statemachine.settings import ServerConfig, resolve_servers
from statemachine.settings.restarts import RestartSettings

EMPTY_WITHIN_S = 10.0
"""A hook may run only if the server's queue was empty so recently: a user's prompt may arrive after the last look."""

ASKED_EVERY_S = 90.0
EDITED_EVERY_S = 150.0
LOOK_S, CALM_LOOK_S = 0.5, 2.0
"""Shorter than a queue must be empty before a hook."""

LITTLE_RAM = 12 * 2**30
"""Of 128 GiB: more than 90 % are in use. With less than 10 GiB, ComfyUI may drop cached results."""
CALM_HOURS = (*(1.0,) * 11, 26.0)
MOST_PER_DAY = 100
WARM_LIMITS = 4.0
"""Time limits of a warm-up within which a server must be loaded once it has returned."""

RELOADS_SHARE = 0.5
CRASH_SHARE = 0.15
FOLLOWED_SHARE = 0.4


AWAY = (State.DRAINING, State.RESTARTING)


class RestartFault(StrEnum):
    """What happens around restarts."""

    ASKED = "restart asked for"
    FOLLOWED = "operator acts on a restart"
    WORKER = "worker lost"
    MEMORY = "memory in use"
    RELOADED = "settings reloaded"
    CRASH = "crash at a restart"


class SimHooks(HookRunner):
    """The hooks of one daemon."""

    def __init__(self, simulation: "RestartSimulation", daemon: SimDaemon) -> None:
        self._simulation, self._daemon = simulation, daemon

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        if self._daemon.dead:
            await asyncio.Event().wait()
        effect = self._simulation.hook_runs(server.name, restart)
        try:
            await take_time(effect, server.restart.hook_timeout_s)
        finally:
            self._simulation.hook_ends(server.name, restart)


class RestartSimulation(Simulation):
    """A simulation whose servers have hooks, lose their workers and are restarted."""

    def __init__(
        self, seed: int, folder: Path, parts: Parts, without: Collection[StrEnum], *, keep: int | None
    ) -> None:
        super().__init__(seed, folder, parts, without, keep=keep)
        self._ledger = RestartLedger()
        self._adverse: list[asyncio.Task[None]] = []
        self._effects: list[asyncio.Task[None]] = []
        self._chance = self._rng("restarts")
        self._settings = drawn_settings(self._chance)
        self._restart_rules = RestartRules(
            self._settings, WARM_LIMITS * self._scenario.settings.timing.warm_timeout_s, self.fail
        )
        self.disk.watcher = RestartWatcher(
            self.disk.watcher, self._ledger, self._restart_rules, self._moment, self._invariants.ledgers
        )
        self._invariants.on_view, self._invariants.on_started = self._view_recorded, self._server_started
        self._started: set[str] = set()
        settings = self._scenario.settings.model_copy(update={"restart": self._settings})
        calm_s = 3600.0 * self._chance.choice(CALM_HOURS)
        self._scenario = replace(self._scenario, settings=settings, calm_s=calm_s)
        self._servers = resolve_servers(settings)
        self._reloads = self._chance.random() < RELOADS_SHARE

    @override
    def _hooks(self, daemon: SimDaemon) -> HookRunner:
        return SimHooks(self, daemon)

    @override
    def _start_daemon(self) -> None:
        self._started = set()
        self._restart_rules.reloaded(list(self.wires), ())
        super()._start_daemon()

    @override
    async def _run_scenario(self) -> None:
        self.spawn(self._watch_queues())
        self.spawn(self._watch_bounds())
        loop = asyncio.get_running_loop()
        self._adverse = [loop.create_task(work) for work in (self._ask(), self._crash_at_steps())]
        if self._reloads:
            self._adverse.append(loop.create_task(self._edit()))
        await super()._run_scenario()

    @override
    async def _stop_faults(self) -> None:
        for task in self._adverse:
            task.cancel()
        await asyncio.gather(*self._adverse, return_exceptions=True)
        await super()._stop_faults()
        await asyncio.gather(*self._effects)  # a hook of before may still end its server, or bring it back bare
        assert self._daemon is not None
        await self._daemon.started()
        await self._reload(self._servers)
        for ledger in self._ledgers():
            await self._reinstall(ledger.plan.name)
            self.act(ledger.plan.name, Action.RESUME.value)

    @override
    async def _clean_up(self, *tasks: asyncio.Task[Any]) -> None:
        await super()._clean_up(*tasks, *self._adverse)

    @override
    async def crash(self, away_s: float) -> None:
        self._restart_rules.daemon_ended()
        await super().crash(away_s)

    async def _watch_queues(self) -> None:
        """Note when each server's queue is empty."""
        while True:
            at = asyncio.get_running_loop().time()
            for name, wire in self.wires.items():
                if not wire.server.up or not wire.server.process.queue.remaining:
                    self._ledger.empty_at[name] = at
            await asyncio.sleep(LOOK_S if self._faults.active else CALM_LOOK_S)

    async def _watch_bounds(self) -> None:
        while True:
            await asyncio.sleep(CALM_POLL_S)
            self._restart_rules.check_bounds(asyncio.get_running_loop().time())

    # What happens while there are faults

    async def _ask(self) -> None:
        """Ask for restarts, end workers and fill memory."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1.0 / ASKED_EVERY_S))
            name, kind = self._chance.choice(list(self.wires)), self._chance.random()
            if kind < 0.6:
                self._faults.counts[RestartFault.ASKED] += 1
                self.act(name, Action.RESTART.value)
                if self._chance.random() < FOLLOWED_SHARE:
                    self.spawn(self._follow(name))
            elif kind < 0.8:
                self._lose_worker(name)
            else:
                self._faults.counts[RestartFault.MEMORY] += 1
                self.wires[name].server.ram_free = LITTLE_RAM

    async def _follow(self, name: str) -> None:
        """Act on a server while it is restarted: cancel, pause, or ask again."""
        await asyncio.sleep(0.05 * 1200.0 ** self._chance.random())
        action = self._chance.choice((Action.RESUME, Action.PAUSE, Action.PAUSE, Action.RESTART, Action.WARM))
        self._faults.counts[RestartFault.FOLLOWED] += 1
        self.act(name, action.value)
        if action is Action.PAUSE:
            await asyncio.sleep(0.05 * 1200.0 ** self._chance.random())
            self.act(name, Action.RESUME.value)
            if self._chance.random() < 0.5:
                self.act(name, Action.RESTART.value)

    @override
    def act(self, name: str, action: str) -> None:
        if action == Action.RESTART.value:
            self._restart_rules.asked[name] += 1
        super().act(name, action)

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
            if self._chance.random() < CRASH_SHARE:
                await asyncio.sleep(self._chance.choice((0.0, 0.0, 0.0005, 0.002, 0.3, 2.0, 20.0)))
                self._faults.counts[RestartFault.CRASH] += 1
                await self.crash(self._chance.choice((0.0, 0.1, 3.0, 40.0)))

    async def _edit(self) -> None:
        """Reload the settings: servers go and come back, change, or lose their hook for a while."""
        while True:
            await asyncio.sleep(self._chance.expovariate(1.0 / EDITED_EVERY_S))
            servers = [sometimes_hookless(config, self._chance) for config in edited(self._servers, self._chance)]
            self._faults.counts[RestartFault.RELOADED] += 1
            self.spawn(self._reload(servers))

    async def _reload(self, servers: Sequence[ServerConfig]) -> None:
        daemon = self._daemon
        if daemon is None or daemon.dead:
            return
        await daemon.started()
        if daemon.dead:
            return
        changes = await reload(daemon, servers, self._invariants, self.note)
        self._restart_rules.reloaded([one.name for one in servers], changes.removed)

    async def _set_plugins(self, name: str, has_them: bool) -> None:
        """Take the plug-ins of a server away, or bring them back, while it is down."""
        ledger, server = self._invariants.ledgers[name], self.wires[name].server
        own = next(plan.profile for plan in self._scenario.plans if plan.name == name)
        if own.name == "unrecognisable":  # the settings ask this one for a check of the plug-ins
            return
        server.profile = replace(own, comfyui=server.profile.comfyui)
        if not has_them:
            server.lose_plugins()
        await server.go_down()
        ledger.plan = replace(ledger.plan, profile=server.profile, was_bare=True)

    async def _reinstall(self, name: str) -> None:
        """Bring back the plug-ins of a server, free its memory, and start its worker if the daemon does not."""
        wire = self.wires[name]
        own = next(plan for plan in self._scenario.plans if plan.name == name)
        if self._invariants.ledgers[name].plan.profile.missing_classes != own.profile.missing_classes:
            await wire.server.go_down()
            await asyncio.sleep(TRANSIT_S)
            await self._set_plugins(name, has_them=True)
        elif not wire.server.process.worker_alive and not self._repairs_any:
            await wire.server.go_down()
        await come_back(wire)

    @property
    def _repairs_any(self) -> bool:
        """Whether the daemon restarts every server whose worker has died, however often."""
        return self._settings.when_stuck and self._settings.max_per_day == MOST_PER_DAY

    # Called by the daemon's parts

    def _view_recorded(self, view: ServerView) -> None:
        """Check a server's view after a transition."""
        rules, restart, at = self._restart_rules, view.restart, asyncio.get_running_loop().time()
        rules.server_in(view.name, view.state, at)
        if view.state in AWAY:
            self._ledger.take_step()
        if restart is None or view.state is not State.LOADED:
            return
        if restart.is_open:
            self.fail(view.name, f"rotation: loaded, but restart {restart.id} is {restart.stage}")
        is_shown = restart.instance is not None or restart.mark is not None
        same = self._ledger.processes.get(restart.id) is self.wires[view.name].server.process
        if restart.stage is RestartStage.SUCCEEDED and is_shown and same:
            self.fail(view.name, f"not restarted: restart {restart.id} succeeded on the same process")

    def _server_started(self, name: str, state: State) -> None:
        """Check the state with which the task of a server begins."""
        is_new = name not in self._started
        self._started.add(name)
        self._restart_rules.server_started(name, state, self._moment(), is_new=is_new)

    def _moment(self) -> Moment:
        return Moment(asyncio.get_running_loop().time(), self._now())

    def hook_runs(self, name: str, restart: Restart) -> HookFault:
        """Check that this hook may run, and begin its effect; without faults it is well."""
        self.note(name, "HOOK", restart.id, restart.cause.value)
        self._restart_rules.hook_began(name, restart.id, restart.cause, self._moment())
        self._check_drained(name, restart)
        server = self.wires[name].server
        if server.up:
            self._ledger.processes[restart.id] = server.process
        ledger = self._invariants.ledgers[name]
        if restart.cause is not RestartCause.OPERATOR:  # `max_per_day` limits these
            ledger.forget_failures()
        if not self._faults.active:
            ledger.calm_rest += len(ledger.plan.workflows) + 1
        self._ledger.take_step()
        effect = drawn_effect(self._chance, faulty=self._faults.active)
        self._faults.counts[effect] += 1
        self.note(name, "hook:", effect.value)
        self._effects.append(self.spawn(affect(self.wires, name, effect, self._chance, self._set_plugins)))
        return effect

    def hook_ends(self, name: str, restart: Restart) -> None:
        """Note the end of a hook's process."""
        self._restart_rules.hook_ended(name, restart.id)
        self._ledger.take_step()

    def _check_drained(self, name: str, restart: Restart) -> None:
        """Check that users' prompts have finished, unless the settings or the server's fault say otherwise."""
        waived = restart.cause is RestartCause.STUCK or self._settings.when_not_drained == "go_on"
        away = name in self._ledger.away
        busy_s = asyncio.get_running_loop().time() - self._ledger.empty_at.get(name, -1e9)
        if not waived and not away and busy_s > EMPTY_WITHIN_S:
            self.fail(name, f"hook over prompts: the queue was last empty {busy_s:.0f} s ago")

    @override
    def note(self, server: str, *what: object) -> None:
        """Note servers that did not answer when their restart was requested."""
        super().note(server, *what)
        if len(what) > 2 and what[1] == "->" and what[2] == State.DRAINING.value:
            (self._ledger.away.add if what[0] == State.UNREACHABLE.value else self._ledger.away.discard)(server)

    # The end

    @override
    async def _end_calm(self) -> None:
        """Switch the triggers off, and wait until the last restarts are over."""
        quiet = self._settings.model_copy(update=dict.fromkeys(("max_ram_percent", "max_age", "schedule")))
        await self._reload([replace(config, restart=quiet) for config in self._servers])
        for _ in range(int(self._scenario.settled_within_s / POLL_S)):
            if all(is_as_expected(ledger) and ledger.state not in AWAY for ledger in self._ledgers()):
                return
            await asyncio.sleep(POLL_S)

    @override
    def _check_calm(self, lasting: LastingRules) -> None:
        super()._check_calm(lasting)
        for ledger in self._ledgers():
            self._restart_rules.check_end(ledger.plan.name, ledger.state)


def drawn_settings(rng: Random) -> RestartSettings:
    """Draw how the servers are restarted."""
    return RestartSettings(
        command=("restart",),
        hook_timeout_s=30,
        drain_timeout_s=rng.choice((60, 600)),
        when_not_drained=rng.choice(("give_up", "give_up", "go_on")),
        return_timeout_s=180,
        when_stuck=rng.random() < 0.8,
        max_ram_percent=rng.choice((None, 90)),
        max_age=rng.choice((None, None, "5m", "2h")),
        schedule=rng.choice((None, None, "*/10 * * * *")),
        min_pause=rng.choice(("1m", "1m", "10m")),
        max_per_day=rng.choice((2, 3, MOST_PER_DAY)),
    )


def run_restart_seed(
    seed: int, *, parts: Parts = REAL_PARTS, without: Collection[StrEnum] = (), full_trace: bool = False
) -> Result:
    """Run one seed with restarts. With the same PYTHONHASHSEED, the same seed gives the same run."""
    keep = None if full_trace else TAIL
    return run_simulation(VirtualLoop, lambda folder: RestartSimulation(seed, folder, parts, without, keep=keep))
