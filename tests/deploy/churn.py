"""What happens to the servers behind HAProxy during a load: evictions, restarts, pauses and ends."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.deploy.haproxy_harness import JOB_S, Deployment

Action = Callable[[Deployment, str], Awaitable[None]]
"""Something that happens to one server."""


async def evict(deployment: Deployment, name: str) -> None:
    """Evict the models by a user's job."""
    server = deployment.servers[name]
    if server.up:
        server.start_foreign_job(JOB_S)
        server.drop_keys(keep_executor=False)


async def restart(deployment: Deployment, name: str) -> None:
    """Restart the process, which empties its cache."""
    await deployment.servers[name].restart()


async def go_down(deployment: Deployment, name: str) -> None:
    """Kill the process."""
    await deployment.servers[name].go_down()


async def come_back(deployment: Deployment, name: str) -> None:
    """Start the process unless it runs."""
    await deployment.servers[name].come_back()


async def pause(deployment: Deployment, name: str) -> None:
    """Pause the server as the operator."""
    await deployment.act(name, "pause")


async def resume(deployment: Deployment, name: str) -> None:
    """Resume the server as the operator."""
    await deployment.act(name, "resume")


CHURN: tuple[tuple[float, int, Action], ...] = (
    (0.0, 0, evict),
    (0.3, 1, restart),
    (0.6, 2, pause),
    (0.9, 3, go_down),
    (1.5, 0, pause),
    (1.8, 4, evict),
    (2.1, 5, evict),
    (2.4, 2, resume),
    (2.7, 3, come_back),
    (3.0, 0, resume),
    (3.3, 6, restart),
    (3.6, 2, evict),
)
"""The actions of one round: (seconds after its start, offset of the server, action)."""

ROUND_S = 4.0


async def churn(deployment: Deployment, seconds: float) -> None:
    """Run rounds of `CHURN`, each starting at another server, then bring all servers back."""
    loop, names = asyncio.get_running_loop(), list(deployment.servers)
    begin = loop.time()
    for number in range(round(seconds / ROUND_S)):
        for after, which, action in CHURN:
            await asyncio.sleep(begin + number * ROUND_S + after - loop.time())
            await action(deployment, names[(number + which) % len(names)])
    for name in names:
        await come_back(deployment, name)
        await resume(deployment, name)
