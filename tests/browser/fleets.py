"""The fleets of the browser tests: twelve servers, with every lasting state among them, and two thousand."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from campaigns.kill.process import DaemonProcess
from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, Profile, SimFleet, SimServer, running_fleet
from tests.browser.history import write_history
from tests.support.paths import WORKFLOWS

TIMEOUT_S = 30.0
POLL_S = 0.05
SCALE = 0.05
"""A warm-up takes 0.8 s."""
VERY_LONG_S = 100_000.0
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))

LOADED = PROFILES["loaded"]
BROKEN = PROFILES["missing_nodes"]
STALLED = PROFILES["stalling"]
"""Stays in `warming`, half way through."""
LOADS_BY_ITSELF = replace(PROFILES["auto_executing"], load_seconds=VERY_LONG_S)

TWELVE: Mapping[str, tuple[str, Profile]] = {
    **{f"public-{number}": ("public", LOADED) for number in range(1, 5)},
    "lab-1": ("lab", LOADED),
    "lab-2": ("lab", LOADED),
    "lab-stalled": ("lab", STALLED),
    "lab-busy": ("lab", PROFILES["cold"]),
    "field-itself": ("field", LOADS_BY_ITSELF),
    "field-broken": ("field", BROKEN),
    "field-absent": ("field", PROFILES["absent"]),
    "field-odd": ("field", PROFILES["unrecognisable"]),
}
"""Name → (group, profile). `lab-busy` stays cold because its queue has a user's prompt."""
HOOKS = {"lab-busy": ["/bin/true"], "lab-2": ["/bin/false"]}
"""Name → restart hook; the others have none."""
SETTLED = {"loaded": 6, "warming": 1, "cold": 1, "auto_executing": 1, "failed": 1, "unreachable": 1, "unknown": 1}
"""The number of the twelve in each lasting state."""

GROUP_OF_MANY = 250
MANY = 2000
AMONG_FIFTY = {7: STALLED, 19: BROKEN, 31: LOADS_BY_ITSELF}
"""Position among each fifty of the many → profile; the others are loaded."""
MANY_SETTLED = {"loaded": 1880, "warming": 40, "failed": 40, "auto_executing": 40}

TIMING = {"busy_wait_s": 86_400, "http_timeout_s": 5, "retry_s": 0.2, "lost_grace_s": 0.5, "link_backoff_max_s": 0.5}
LIMITS = {"max_warming": 200, "max_warming_per_host": 200}

Json = dict[str, Any]
Specs = Mapping[str, tuple[str, Profile]]


@dataclass(frozen=True)
class Deployment:
    """A running daemon and its simulated servers by name."""

    address: str
    servers: Mapping[str, SimServer]
    token: str | None = None

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        async with aiohttp.ClientSession() as session, session.get(self.address + path) as response:
            return await response.json()

    async def post(self, path: str) -> None:
        """Post an action, as another operator would."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with aiohttp.ClientSession(headers=headers) as session, session.post(self.address + path) as response:
            assert response.status == 202, await response.text()

    async def evict(self, name: str) -> None:
        """Drop the server's models and request a check, so that it becomes cold and is warmed again."""
        self.servers[name].drop_keys(keep_executor=False)
        await self.post(f"/api/servers/{name}/check")

    async def wait_for_counts(self, states: Mapping[str, int]) -> None:
        """Wait until the servers are in these states: state → number of servers."""
        await self.wait_for_states(lambda found: found == states)

    async def wait_for_states(self, holds: Callable[[Mapping[str, int]], bool]) -> None:
        """Wait until the number of servers per state satisfies `holds`."""
        await self.wait_for_json("/api/status", lambda status: holds(status.get("states", {})))

    async def wait_for_state(self, name: str, state: str) -> None:
        """Wait until the server is in that state."""
        await self.wait_for_json(f"/api/servers/{name}", lambda server: server.get("state") == state)

    async def wait_for_json(self, path: str, holds: Callable[[Json], bool]) -> None:
        """Wait until the JSON of a GET satisfies `holds`; the failure message contains the last JSON."""
        give_up = time.monotonic() + TIMEOUT_S
        while not holds(found := await self.get(path)):
            assert time.monotonic() < give_up, str(found)[:2000]
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def twelve(
    folder: Path, token: str | None = None, tokens: Json | None = None, *, with_history: bool = False
) -> AsyncIterator[Deployment]:
    """Run the twelve under a daemon in this process; `with_history`: with a journal of the last week."""
    if with_history:
        write_history(folder / "data", {name: group for name, (group, _) in TWELVE.items()}, time.time())
    async with simulated(TWELVE) as (fleet, servers):
        data = settings_over(fleet, TWELVE, listen={"port": 0, "token": token, "tokens": tokens or {}})
        for one in data["servers"]:
            one["restart"] = {"command": HOOKS.get(one["name"])}
        servers["lab-busy"].start_foreign_job(VERY_LONG_S)
        async with running_daemon(parse_settings(data, folder, {})) as daemon:
            deployment = Deployment(daemon.address, servers, token)
            await deployment.wait_for_counts(SETTLED)
            yield deployment


@asynccontextmanager
async def restartable(folder: Path) -> AsyncIterator[tuple[Deployment, DaemonProcess]]:
    """Run three servers under a daemon in its own process, which uses the same port after a restart."""
    specs: Specs = dict.fromkeys(("one", "two", "three"), ("public", LOADED))
    async with (
        simulated(specs) as (fleet, servers),
        DaemonProcess(folder, settings_over(fleet, specs)).running() as daemon,
    ):
        deployment = Deployment(daemon.address, servers)
        await deployment.wait_for_counts({"loaded": 3})
        yield deployment, daemon


@asynccontextmanager
async def many(folder: Path) -> AsyncIterator[Deployment]:
    """Run the two thousand under a daemon in its own process."""
    _allow_many_descriptors()
    specs = {
        f"gpu-{number:04}": (f"rack-{number // GROUP_OF_MANY + 1}", AMONG_FIFTY.get(number % 50, LOADED))
        for number in range(MANY)
    }
    async with (
        simulated(specs) as (fleet, servers),
        DaemonProcess(folder, settings_over(fleet, specs)).running() as daemon,
    ):
        deployment = Deployment(daemon.address, servers)
        await deployment.wait_for_counts(MANY_SETTLED)
        yield deployment


@asynccontextmanager
async def simulated(specs: Specs) -> AsyncIterator[tuple[SimFleet, dict[str, SimServer]]]:
    """Run the simulated servers; yield the fleet and its servers by name."""
    profiles = [profile for _, profile in specs.values()]
    async with running_fleet(profiles, scale=SCALE, hosts=HOSTS) as fleet:
        yield fleet, dict(zip(specs, fleet.servers, strict=True))


def settings_over(fleet: SimFleet, specs: Specs, **more: Any) -> Json:
    """Return the settings for the fleet; `more` replaces top-level keys."""
    named = zip(fleet.urls, specs.items(), strict=True)
    return {
        "servers": [{"url": url, "name": name, "group": group} for url, (name, (group, _)) in named],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "limits": LIMITS,
        "logging": {"file": None, "level": "WARNING"},
        **more,
    }


def _allow_many_descriptors() -> None:
    """Raise the limit of open files for two thousand servers; the daemon's process inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
