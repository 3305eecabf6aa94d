"""Random adversity: users, restarts, evictions, a full disk, a stepping clock, crashes."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Fault, Faults
from campaigns.simulation.wire import Wire


class Stage(Protocol):
    """The world that the actions change."""

    wires: dict[str, Wire]
    clock_offset: float

    @property
    def disks(self) -> Sequence[Disk]: ...

    def some_disk(self) -> Disk: ...

    def act(self, name: str, action: str) -> None: ...

    async def crash(self, away_s: float) -> None: ...

    async def next_submission(self) -> None: ...


class Actions:
    """Run random actions until cancelled; `undo` ends those that still last."""

    def __init__(self, stage: Stage, faults: Faults, rng: Random, every_s: float, note: Callable[..., None]) -> None:
        self._stage, self._faults, self._rng, self._every_s, self._note = stage, faults, rng, every_s, note
        self._lasting: list[asyncio.Task[None]] = []
        self._kinds, self._weights = faults.actions()

    async def go_on(self) -> None:
        """For ever."""
        while self._kinds:
            await asyncio.sleep(self._rng.expovariate(1.0 / self._every_s))
            (kind,) = self._rng.choices(self._kinds, self._weights)
            wire = self._rng.choice(list(self._stage.wires.values()))
            self._faults.counts[kind] += 1
            self._note(wire.name, "action:", kind.value)
            self._lasting.append(asyncio.get_running_loop().create_task(self._do(kind, wire)))

    async def undo(self) -> None:
        """Let everything be well again."""
        for task in self._lasting:
            task.cancel()
        await asyncio.gather(*self._lasting, return_exceptions=True)
        for disk in self._stage.disks:
            disk.full, disk.slow_s = False, 0.0
        for wire in self._stage.wires.values():
            wire.outage = False
            wire.server.resume()
            await wire.server.come_back()

    def _do(self, kind: StrEnum, wire: Wire) -> Coroutine[Any, Any, None]:
        return ACTIONS[Fault(kind)](self, wire)

    def _some(self, shortest: float, longest: float) -> float:
        return float(shortest * (longest / shortest) ** self._rng.random())

    async def users_job(self, wire: Wire) -> None:
        """A user's own work; sometimes many in a row."""
        for _ in range(self._rng.choice((1, 1, 1, 3, 8))):
            if wire.server.up:
                wire.server.start_foreign_job(self._some(0.2, 60.0))
            await asyncio.sleep(self._some(0.01, 5.0))

    async def users_loading(self, wire: Wire) -> None:
        """Somebody else queues what would load the missing keys."""
        persona = wire.server.persona
        if wire.server.up and persona.model_files and not (persona.missing_classes or persona.strict_cache_node):
            wire.server.start_own_workflow()

    async def restart(self, wire: Wire) -> None:
        """The process dies and comes back later."""
        await wire.server.go_down()
        await asyncio.sleep(self._some(0.5, 120.0))
        await wire.server.come_back()

    async def quick_restart(self, wire: Wire) -> None:
        """So quick that no connection is refused."""
        await wire.server.restart()

    async def outage(self, wire: Wire) -> None:
        """The host cannot be reached, while the server lives on."""
        wire.begin_outage()
        await asyncio.sleep(self._some(2.0, 120.0))
        wire.outage = False

    async def stall(self, wire: Wire) -> None:
        """The worker stands still."""
        wire.server.stall()
        await asyncio.sleep(self._some(5.0, 400.0))
        wire.server.resume()

    async def drop_keys(self, wire: Wire) -> None:
        """The keys go, the executor's nodes stay."""
        wire.server.drop_keys(keep_executor=True)

    async def evict(self, wire: Wire) -> None:
        """A user's job takes the memory."""
        if wire.server.up:
            wire.server.start_foreign_job(self._some(0.2, 20.0))
        wire.server.drop_keys(keep_executor=False)

    async def interrupt(self, wire: Wire) -> None:
        """Somebody interrupts whatever runs."""
        wire.server.interrupt()

    async def step_clock(self, _: Wire) -> None:
        """The wall clock jumps."""
        self._stage.clock_offset += self._rng.choice((-3600.0, 3600.0))

    async def slow_disk(self, _: Wire) -> None:
        """Every write takes long."""
        disk = self._stage.some_disk()
        disk.slow_s = self._some(0.05, 5.0)
        await asyncio.sleep(self._some(5.0, 60.0))
        disk.slow_s = 0.0

    async def full_disk(self, _: Wire) -> None:
        """No write succeeds."""
        disk = self._stage.some_disk()
        disk.full = True
        await asyncio.sleep(self._some(1.0, 60.0))
        disk.full = False

    async def crash(self, _: Wire) -> None:
        """SIGKILL, often just when a prompt is written down or posted, and a new start."""
        if self._rng.random() < 0.7:
            await self._stage.next_submission()
            await asyncio.sleep(self._rng.choice((0.0, 0.0, 0.0005, 0.002, 0.02, 0.5, 5.0)))
        await self._stage.crash(self._rng.choice((0.0, 0.1, 3.0, 40.0)))

    async def operate(self, wire: Wire) -> None:
        """An operator presses buttons."""
        action = self._rng.choice(("check", "warm", "warm", "pause"))
        self._stage.act(wire.name, action)
        if action == "pause":
            await asyncio.sleep(self._some(0.1, 200.0))
            self._stage.act(wire.name, "resume")


ACTIONS: dict[Fault, Callable[[Actions, Wire], Coroutine[Any, Any, None]]] = {
    Fault.USERS_JOB: Actions.users_job,
    Fault.USERS_LOADING: Actions.users_loading,
    Fault.RESTART: Actions.restart,
    Fault.QUICK_RESTART: Actions.quick_restart,
    Fault.OUTAGE: Actions.outage,
    Fault.STALL: Actions.stall,
    Fault.KEYS_DROPPED: Actions.drop_keys,
    Fault.EVICTED: Actions.evict,
    Fault.INTERRUPTED: Actions.interrupt,
    Fault.CLOCK_STEP: Actions.step_clock,
    Fault.DISK_SLOW: Actions.slow_disk,
    Fault.DISK_FULL: Actions.full_disk,
    Fault.CRASH: Actions.crash,
    Fault.OPERATOR: Actions.operate,
}
