"""The honest servers, which record every warm-up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import cycle, islice
from random import Random

from campaigns.kill.moments import Moments
from campaigns.kill.servers import Role, WatchedServer
from statemachine.simulator import PROFILES
from statemachine.simulator.sockets import Gateway

LOAD_S = 16.0
"""For each of four models, before scaling: a warm-up takes 3.2 s."""
ROLES = [Role(replace(PROFILES[name], load_seconds=LOAD_S)) for name in ("cold", "inspire", "node")]
SERVERS_PER_HOST = 2

Honest = dict[str, tuple[WatchedServer, str]]
"""Name → server and URL."""


@asynccontextmanager
async def honest_servers(count: int, seed: int) -> AsyncIterator[Honest]:
    """Run cold servers, two on each loopback address from 127.0.1.1 on."""
    async with Gateway() as gateway:
        servers: Honest = {}
        for number, role in enumerate(islice(cycle(ROLES), count)):
            name = f"honest-{number:02d}"
            server = WatchedServer(name, role, Moments(), Random(f"{seed}/{name}"))
            host, port = gateway.add(server, f"127.0.1.{1 + number // SERVERS_PER_HOST}", 0)
            servers[name] = server, f"http://{host}:{port}"
        for server, _ in servers.values():
            await server.start()
        yield servers


def wrong_warm_ups(servers: Honest) -> list[str]:
    """Return the servers that received another number of warm-ups than one."""
    return [f"{name}: {len(one.accepted)} warm-ups" for name, (one, _) in servers.items() if len(one.accepted) != 1]
