"""The machines of a churn: each has an address for a while, and a simulated server that starts cold."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from campaigns.simulation.faults import Faults
from campaigns.simulation.wire import Wire
from statemachine.discovery.target import Target, parse_target
from statemachine.simulator import Profile, SimServer

QUICK = Profile("quick", load_seconds=0.5, http_delay=0.0)
REUSE = 0.2
"""Share of the machines whose address another one had before."""

OLD_ADDRESSES = 200


class NoWatcher:
    """Watches nothing on the wires."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_more: 0


@dataclass(eq=False)
class Machine:
    """One machine. `listed_at` is when a usable answer of a source first had it."""

    address: str
    source: str
    server: SimServer
    joined_at: float
    is_repeated: bool
    listed_at: float | None = None
    loaded_at: float | None = None
    is_present: bool = True
    is_paused: bool = False

    @cached_property
    def target(self) -> Target:
        return parse_target(self.address, "http", {"pool": self.source})

    @property
    def warm_ups(self) -> int:
        """The warm-ups that the server has accepted."""
        return sum(1 for one in self.server.log if one.status == 200)


@dataclass(eq=False)
class World:
    """The machines that are present, by their addresses."""

    rng: Random
    machines: dict[str, Machine] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)
    count: int = 0
    _old: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def __iter__(self) -> Iterator[Machine]:
        return iter(self.machines.values())

    async def join(self, source: str) -> Machine:
        """Start a machine; some have an address that another one had."""
        address, self.count = self._address(), self.count + 1
        server = SimServer(QUICK, self.rng, clock=asyncio.get_running_loop().time)
        machine = Machine(address, source, server, _now(), is_repeated=self.rng.random() < 0.1)
        self.machines[address] = machine
        if (wire := self.wires.get(address)) is not None:
            wire.server = server
        else:
            self.wires[address] = self._wire(address, server)
        await server.start()
        return machine

    async def leave(self, machine: Machine) -> None:
        """End a machine without notice."""
        machine.is_present = False
        del self.machines[machine.address]
        self._old = [*self._old, machine.address][-OLD_ADDRESSES:]
        await machine.server.stop()

    def forget(self, known: frozenset[str]) -> None:
        """Drop the wires that neither a machine nor the fleet needs."""
        for address in [one for one in self.wires if one not in self.machines and one not in known]:
            del self.wires[address]

    def _address(self) -> str:
        free = [one for one in self._old if one not in self.machines]
        if free and self.rng.random() < REUSE:
            return self.rng.choice(free)
        host = f"10.{self.count // 62_500 % 250}.{self.count // 250 % 250}.{self.count % 250 + 1}"
        return f"{host}:8188"

    def _wire(self, address: str, server: SimServer) -> Wire:
        faults = Faults(self.rng)
        faults.active = False
        return Wire(address, server, faults, self.rng, NoWatcher(), self._spawn, quality=0.0, timeout_s=5.0)

    def _spawn(self, work: Any) -> object:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _now() -> float:
    return asyncio.get_running_loop().time()
