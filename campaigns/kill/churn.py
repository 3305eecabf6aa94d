"""Random actions on the servers: evictions, restarts, users' jobs and dropped keys."""

import asyncio
from collections.abc import Sequence
from random import Random

from campaigns.kill.servers import WatchedServer

PAUSE_S = 0.6
DOWN_S = 0.7
USERS_JOB_S = 0.6


async def churn(servers: Sequence[WatchedServer], rng: Random) -> None:
    """Run random actions until cancelled."""
    actions = [action for server in servers for action in _actions(server)]
    while True:
        await asyncio.sleep(rng.uniform(0.0, 2 * PAUSE_S))
        server, action = rng.choice(actions)
        await _do(server, action)


def _actions(server: WatchedServer) -> list[tuple[WatchedServer, str]]:
    role = server.role
    weights = {"evict": role.evicted, "restart": role.restarted, "use": role.used, "forget": role.forgotten}
    return [(server, action) for action, weight in weights.items() for _ in range(weight)]


async def _do(server: WatchedServer, action: str) -> None:
    if action == "restart":
        await server.go_down()
        await asyncio.sleep(DOWN_S)
        await server.come_back()
    elif server.up and action == "forget":
        server.drop_keys(keep_executor=True)
    elif server.up:
        server.start_foreign_job(USERS_JOB_S)
        if action == "evict":
            server.drop_keys(keep_executor=False)
