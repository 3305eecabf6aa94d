"""Simulated servers with all routes, and fleets of them for tests, the demo and `simulate`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from random import Random

from statemachine.simulator.behaviours import behaviours
from statemachine.simulator.dialects import DEFAULT
from statemachine.simulator.profiles import PROFILES, Profile
from statemachine.simulator.routes import respond
from statemachine.simulator.server import ServerModel
from statemachine.simulator.sockets import Gateway

LOOPBACK = ("127.0.0.1",)
DEMO = {
    "public": ("loaded", "cold", "auto_executing", "busy"),
    "lab": ("slow", "trapped", "restarting", "evicting"),
    "field": ("missing_nodes", "out_of_memory", "unrecognisable", "absent", "inspire"),
}
"""Group → profiles. Together they show every state within about a minute."""


class SimServer(ServerModel):
    """A simulated ComfyUI server of one profile. `start` it inside a running loop, and `stop` it."""

    def __init__(
        self,
        profile: Profile,
        rng: Random,
        *,
        scale: float = 1.0,
        clock: Callable[[], float] = time.time,
        ids: Random | None = None,
    ) -> None:
        """Create a stopped server. `scale` multiplies every duration of the profile; `ids` draws the ids."""
        super().__init__(profile, rng, respond, behaviours, scale=scale, clock=clock, ids=ids)


@dataclass(frozen=True)
class Member:
    """One server of a fleet, its address and its group."""

    server: SimServer
    host: str
    port: int
    group: str = "default"

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.name}"


@dataclass(frozen=True)
class SimFleet:
    """A running fleet, in the order of its profiles."""

    members: list[Member]

    @property
    def servers(self) -> list[SimServer]:
        return [member.server for member in self.members]

    @property
    def urls(self) -> list[str]:
        return [member.url for member in self.members]

    def of(self, profile_name: str) -> Member:
        """Return the first member with that profile."""
        return next(each for each in self.members if each.server.profile.name == profile_name)


@dataclass(frozen=True)
class SimulateOptions:
    """The options of `run.py simulate`. Profiles are assigned in turn."""

    count: int = 12
    seed: int = 1
    host: str = "127.0.0.1"
    base_port: int = 18188
    scale: float = 1.0
    comfyui: str = DEFAULT
    """The version of ComfyUI whose dialect the servers speak."""
    profiles: Sequence[str] = field(default_factory=lambda: tuple(sum(DEMO.values(), ())))


@asynccontextmanager
async def running_fleet(
    profiles: Iterable[Profile],
    *,
    base_port: int = 0,
    seed: int = 0,
    scale: float = 1.0,
    hosts: Sequence[str] = LOOPBACK,
    groups: Sequence[str] = (),
) -> AsyncIterator[SimFleet]:
    """Run one listening server per profile, spread over `hosts`.

    `base_port` 0 takes free ports. `groups`, if not empty, has one group per profile. The same seed gives the same
    fleet, but each process of a server has ids of its own.
    """
    async with Gateway() as gateway:
        members = []
        for index, profile in enumerate(profiles):
            rng = Random(f"{seed}/{index}")  # noqa: S311 - repeatable
            server = SimServer(profile, rng, scale=scale, ids=Random())  # noqa: S311 - ids need only differ
            port = base_port + index // len(hosts) if base_port else 0
            address = gateway.add(server, hosts[index % len(hosts)], port)
            members.append(Member(server, *address, groups[index] if groups else "default"))
        for member in members:
            await member.server.start()
        yield SimFleet(members)


@asynccontextmanager
async def demo_fleet(seed: int = 1, *, scale: float = 1.0, base_port: int = 0) -> AsyncIterator[SimFleet]:
    """Run 13 servers in three groups that show every state within a minute; a warm-up takes 16 to 40 s."""
    groups, names = zip(*((group, name) for group, row in DEMO.items() for name in row), strict=True)
    profiles = [PROFILES[name] for name in names]
    async with running_fleet(profiles, base_port=base_port, seed=seed, scale=scale, groups=groups) as fleet:
        yield fleet


async def serve_fleet(options: SimulateOptions, ready: Callable[[SimFleet], None]) -> None:
    """Run a fleet until cancelled; call `ready` once every server listens.

    Raises ValueError for an unknown persona and OSError for a port that is in use.
    """
    unknown = sorted(set(options.profiles) - set(PROFILES))
    if unknown:
        raise ValueError(f"unknown persona {', '.join(unknown)}; available: {', '.join(sorted(PROFILES))}")
    profiles = [
        replace(PROFILES[name], comfyui=options.comfyui) for name in islice(cycle(options.profiles), options.count)
    ]
    async with running_fleet(
        profiles,
        base_port=options.base_port,
        seed=options.seed,
        scale=options.scale,
        hosts=(options.host,),
    ) as fleet:
        ready(fleet)
        await asyncio.Event().wait()
