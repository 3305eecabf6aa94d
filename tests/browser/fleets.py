"""The fleets that the page is shown over: twelve servers, one in each state that lasts, and two thousand."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PERSONAS, Fleet, Persona, SimServer, running_fleet
from tests.browser.past import write_past
from tests.kill.process import DaemonProcess

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 30.0
POLL_S = 0.05
SCALE = 0.05
"""A warm-up takes 0.8 s."""
FOR_EVER_S = 100_000.0
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))

LOADED = PERSONAS["loaded"]
BROKEN = PERSONAS["missing_nodes"]
STALLED = PERSONAS["stalling"]
"""Warming, and half done, for as long as it is looked at."""
LOADS_ITSELF = replace(PERSONAS["auto_executing"], load_seconds=FOR_EVER_S)

TWELVE: Mapping[str, tuple[str, Persona]] = {
    **{f"public-{number}": ("public", LOADED) for number in range(1, 5)},
    "lab-1": ("lab", LOADED),
    "lab-2": ("lab", LOADED),
    "lab-stalled": ("lab", STALLED),
    "lab-busy": ("lab", PERSONAS["cold"]),
    "field-itself": ("field", LOADS_ITSELF),
    "field-broken": ("field", BROKEN),
    "field-absent": ("field", PERSONAS["absent"]),
    "field-odd": ("field", PERSONAS["unrecognisable"]),
}
"""Name → (group, persona). `lab-busy` stays cold, for its queue is full of a user's work."""
SETTLED = {"loaded": 6, "warming": 1, "cold": 1, "auto_executing": 1, "failed": 1, "unreachable": 1, "unknown": 1}
"""How many of the twelve come to rest in each state."""

GROUP_OF_MANY = 250
MANY = 2000
AMONG_FIFTY = {7: STALLED, 19: BROKEN, 31: LOADS_ITSELF}
"""Of the many: position among fifty → persona; all others are loaded."""
MANY_SETTLED = {"loaded": 1880, "warming": 40, "failed": 40, "auto_executing": 40}

TIMING = {"busy_wait_s": 86_400, "http_timeout_s": 5, "retry_s": 0.2, "lost_grace_s": 0.5, "link_backoff_max_s": 0.5}
LIMITS = {"max_warming": 200, "max_warming_per_host": 200}

Json = dict[str, Any]
Places = Mapping[str, tuple[str, Persona]]


@dataclass(frozen=True)
class World:
    """A running daemon and the servers behind it, by their names."""

    address: str
    servers: Mapping[str, SimServer]
    token: str | None = None

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        async with aiohttp.ClientSession() as session, session.get(self.address + path) as response:
            return await response.json()

    async def post(self, path: str) -> None:
        """What another operator asks for."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(self.address + path) as response:
            assert response.status == 202, await response.text()

    async def evict(self, name: str) -> None:
        """The server loses its models and is checked: it will be cold, then warm again."""
        self.servers[name].drop_keys(keep_executor=False)
        await self.post(f"/api/servers/{name}/check")

    async def settled(self, states: Mapping[str, int]) -> None:
        """Wait until so many servers are in each state."""
        await self.until_states(lambda found: found == states)

    async def until_states(self, holds: Callable[[Mapping[str, int]], bool]) -> None:
        """Wait until the numbers of servers in each state satisfy `holds`."""
        await self.until_answer("/api/status", lambda status: holds(status.get("states", {})))

    async def until(self, name: str, state: str) -> None:
        """Wait until that server is in that state."""
        await self.until_answer(f"/api/servers/{name}", lambda server: server.get("state") == state)

    async def until_answer(self, path: str, holds: Callable[[Json], bool]) -> None:
        """Wait until the JSON of a GET satisfies `holds`; a failure shows what was there instead."""
        give_up = time.monotonic() + PATIENCE_S
        while not holds(found := await self.get(path)):
            assert time.monotonic() < give_up, str(found)[:2000]
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def twelve(folder: Path, token: str | None = None, *, with_past: bool = False) -> AsyncIterator[World]:
    """The twelve, at rest, under a daemon in this process; `with_past`: it has watched them for a week."""
    if with_past:
        write_past(folder / "data", {name: group for name, (group, _) in TWELVE.items()}, time.time())
    async with simulated(TWELVE) as (fleet, servers):
        data = settings_over(fleet, TWELVE, listen={"port": 0, "token": token})
        servers["lab-busy"].start_foreign_job(FOR_EVER_S)
        async with running_daemon(parse_settings(data, folder, {})) as daemon:
            world = World(daemon.address, servers, token)
            await world.settled(SETTLED)
            yield world


@asynccontextmanager
async def restartable(folder: Path) -> AsyncIterator[tuple[World, DaemonProcess]]:
    """Three restless servers under a daemon that is a process of its own; it always takes the same port."""
    places: Places = dict.fromkeys(("one", "two", "three"), ("public", LOADED))
    async with simulated(places) as (fleet, servers), _process(folder, settings_over(fleet, places)) as daemon:
        world = World(daemon.address, servers)
        await world.settled({"loaded": 3})
        yield world, daemon


@asynccontextmanager
async def many(folder: Path) -> AsyncIterator[World]:
    """The two thousand, at rest, under a daemon that is a process of its own."""
    _allow_many_descriptors()
    places = {
        f"gpu-{number:04}": (f"rack-{number // GROUP_OF_MANY + 1}", AMONG_FIFTY.get(number % 50, LOADED))
        for number in range(MANY)
    }
    async with simulated(places) as (fleet, servers), _process(folder, settings_over(fleet, places)) as daemon:
        world = World(daemon.address, servers)
        await world.settled(MANY_SETTLED)
        yield world


@asynccontextmanager
async def simulated(places: Places) -> AsyncIterator[tuple[Fleet, dict[str, SimServer]]]:
    """Servers of these personas, and each by its name."""
    personas = [persona for _, persona in places.values()]
    async with running_fleet(personas, scale=SCALE, hosts=HOSTS) as fleet:
        yield fleet, dict(zip(places, fleet.servers, strict=True))


@asynccontextmanager
async def _process(folder: Path, settings: Json) -> AsyncIterator[DaemonProcess]:
    daemon = DaemonProcess(folder, settings)
    await daemon.start()
    try:
        await daemon.until_answering()
        yield daemon
    finally:
        await daemon.end()


def settings_over(fleet: Fleet, places: Places, **more: Any) -> Json:
    """A settings file's content for the fleet; `more` goes over it."""
    named = zip(fleet.urls, places.items(), strict=True)
    return {
        "servers": [{"url": url, "name": name, "group": group} for url, (name, (group, _)) in named],
        "workflows_dir": str(REPOSITORY / "workflows"),
        "timing": TIMING,
        "limits": LIMITS,
        "logging": {"file": None, "level": "WARNING"},
        **more,
    }


def _allow_many_descriptors() -> None:
    """Two thousand listening servers and their sockets; the daemon, our child, inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
