"""Random actions: users' jobs, restarts, evictions, a full disk, clock steps and crashes."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Fault, Faults
from campaigns.simulation.plans import COMFYUI_VERSIONS
from campaigns.simulation.wire import Wire

INSTALLS_SHARE = 0.3


class ActionTarget(Protocol):
    """The simulation that the actions change."""

    wires: dict[str, Wire]
    clock_offset: float

    @property
    def disks(self) -> Sequence[Disk]: ...

    def some_disk(self) -> Disk: ...

    def act(self, name: str, action: str) -> None: ...

    async def crash(self, away_s: float) -> None: ...

    async def next_submission(self) -> None: ...


class Actions:
    """Run random actions until cancelled; `undo` ends those that are still running."""

    def __init__(
        self, target: ActionTarget, faults: Faults, rng: Random, every_s: float, note: Callable[..., None]
    ) -> None:
        self._target, self._faults, self._rng, self._every_s, self._note = target, faults, rng, every_s, note
        self._running: list[asyncio.Task[None]] = []
        self._kinds, self._weights = faults.actions()

    async def run(self) -> None:
        """Start a random action every `every_s` seconds on average."""
        while self._kinds:
            await asyncio.sleep(self._rng.expovariate(1.0 / self._every_s))
            (kind,) = self._rng.choices(self._kinds, self._weights)
            wire = self._rng.choice(list(self._target.wires.values()))
            self._faults.counts[kind] += 1
            self._note(wire.name, "action:", kind.value)
            self._running.append(asyncio.get_running_loop().create_task(self._do(kind, wire)))

    async def undo(self) -> None:
        """End all running actions and restore servers, disks and wires."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for disk in self._target.disks:
            disk.full, disk.slow_s = False, 0.0
        for wire in self._target.wires.values():
            wire.outage = False
            wire.server.resume()
            await wire.server.come_back()

    def _do(self, kind: StrEnum, wire: Wire) -> Coroutine[Any, Any, None]:
        return ACTIONS[Fault(kind)](self, wire)

    def _log_uniform(self, shortest: float, longest: float) -> float:
        return float(shortest * (longest / shortest) ** self._rng.random())

    async def users_job(self, wire: Wire) -> None:
        """Queue users' prompts, sometimes several in a row."""
        for _ in range(self._rng.choice((1, 1, 1, 3, 8))):
            if wire.server.up:
                wire.server.start_foreign_job(self._log_uniform(0.2, 60.0))
            await asyncio.sleep(self._log_uniform(0.01, 5.0))

    async def users_loading(self, wire: Wire) -> None:
        """Queue a user's prompt that loads the missing keys."""
        profile = wire.server.profile
        if wire.server.up and profile.model_files and not (profile.missing_classes or profile.strict_cache_node):
            wire.server.start_own_workflow()

    def _maybe_install(self, wire: Wire) -> None:
        """Install another version of ComfyUI in some of the restarts, a newer or an older one."""
        if self._rng.random() < INSTALLS_SHARE:
            version = self._rng.choice(COMFYUI_VERSIONS)
            self._note(wire.name, "installs ComfyUI", version)
            wire.server.install(version)

    async def restart(self, wire: Wire) -> None:
        """Stop the server process and start it again after a while."""
        self._maybe_install(wire)
        await wire.server.go_down()
        await asyncio.sleep(self._log_uniform(0.5, 120.0))
        await wire.server.come_back()

    async def quick_restart(self, wire: Wire) -> None:
        """Restart the server so quickly that no connection is refused."""
        self._maybe_install(wire)
        await wire.server.restart()

    async def outage(self, wire: Wire) -> None:
        """Make the host unreachable while the server keeps running."""
        wire.begin_outage()
        await asyncio.sleep(self._log_uniform(2.0, 120.0))
        wire.outage = False

    async def stall(self, wire: Wire) -> None:
        """Stall the prompt worker."""
        wire.server.stall()
        await asyncio.sleep(self._log_uniform(5.0, 400.0))
        wire.server.resume()

    async def drop_keys(self, wire: Wire) -> None:
        """Drop the keys; the executor keeps its nodes."""
        wire.server.drop_keys(keep_executor=True)

    async def evict(self, wire: Wire) -> None:
        """Evict all caches with a user's job."""
        if wire.server.up:
            wire.server.start_foreign_job(self._log_uniform(0.2, 20.0))
        wire.server.drop_keys(keep_executor=False)

    async def page(self, wire: Wire) -> None:
        """Move the models out of memory, now and then back again."""
        for _ in range(self._rng.choice((1, 1, 2, 6))):
            wire.server.unload_models(self._rng.choice(("key", "ram")))
            await asyncio.sleep(self._log_uniform(0.01, 60.0))
            if self._rng.random() < 0.5:
                wire.server.reload_models()

    async def interrupt(self, wire: Wire) -> None:
        """Interrupt the running prompt."""
        wire.server.interrupt()

    async def step_clock(self, _: Wire) -> None:
        """Step the wall clock by an hour."""
        self._target.clock_offset += self._rng.choice((-3600.0, 3600.0))

    async def slow_disk(self, _: Wire) -> None:
        """Slow down every write."""
        disk = self._target.some_disk()
        disk.slow_s = self._log_uniform(0.05, 5.0)
        await asyncio.sleep(self._log_uniform(5.0, 60.0))
        disk.slow_s = 0.0

    async def full_disk(self, _: Wire) -> None:
        """Let every write fail."""
        disk = self._target.some_disk()
        disk.full = True
        await asyncio.sleep(self._log_uniform(1.0, 60.0))
        disk.full = False

    async def crash(self, _: Wire) -> None:
        """Kill the daemon, often while a prompt is being stored or posted, and start it again."""
        if self._rng.random() < 0.7:
            await self._target.next_submission()
            await asyncio.sleep(self._rng.choice((0.0, 0.0, 0.0005, 0.002, 0.02, 0.5, 5.0)))
        await self._target.crash(self._rng.choice((0.0, 0.1, 3.0, 40.0)))

    async def operate(self, wire: Wire) -> None:
        """Act as an operator: check, warm, or pause and resume."""
        action = self._rng.choice(("check", "warm", "warm", "pause"))
        self._target.act(wire.name, action)
        if action == "pause":
            await asyncio.sleep(self._log_uniform(0.1, 200.0))
            self._target.act(wire.name, "resume")


ACTIONS: dict[Fault, Callable[[Actions, Wire], Coroutine[Any, Any, None]]] = {
    Fault.USERS_JOB: Actions.users_job,
    Fault.USERS_LOADING: Actions.users_loading,
    Fault.RESTART: Actions.restart,
    Fault.QUICK_RESTART: Actions.quick_restart,
    Fault.OUTAGE: Actions.outage,
    Fault.STALL: Actions.stall,
    Fault.KEYS_DROPPED: Actions.drop_keys,
    Fault.EVICTED: Actions.evict,
    Fault.PAGED: Actions.page,
    Fault.INTERRUPTED: Actions.interrupt,
    Fault.CLOCK_STEP: Actions.step_clock,
    Fault.DISK_SLOW: Actions.slow_disk,
    Fault.DISK_FULL: Actions.full_disk,
    Fault.CRASH: Actions.crash,
    Fault.OPERATOR: Actions.operate,
}
