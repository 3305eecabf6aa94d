"""What happens to the servers while the daemon lives and dies: evictions, restarts, users, forgotten keys."""

import asyncio
from collections.abc import Sequence
from random import Random

from tests.kill.servers import WatchedServer

PAUSE_S = 0.6
DOWN_S = 0.7
USERS_JOB_S = 0.6


async def churn(servers: Sequence[WatchedServer], rng: Random) -> None:
    """One deed after another, until cancelled."""
    deeds = [deed for server in servers for deed in _deeds(server)]
    while True:
        await asyncio.sleep(rng.uniform(0.0, 2 * PAUSE_S))
        server, deed = rng.choice(deeds)
        await _do(server, deed)


def _deeds(server: WatchedServer) -> list[tuple[WatchedServer, str]]:
    role = server.role
    weights = {"evict": role.evicted, "restart": role.restarted, "use": role.used, "forget": role.forgotten}
    return [(server, deed) for deed, weight in weights.items() for _ in range(weight)]


async def _do(server: WatchedServer, deed: str) -> None:
    if deed == "restart":
        await server.go_down()
        await asyncio.sleep(DOWN_S)
        await server.come_back()
    elif server.up and deed == "forget":
        server.drop_keys(keep_executor=True)
    elif server.up:
        server.start_foreign_job(USERS_JOB_S)
        if deed == "evict":
            server.drop_keys(keep_executor=False)
