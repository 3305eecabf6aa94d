"""What a simulated server does unasked: users' jobs, evictions, restarts, a plug-in's chatter."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from statemachine.simulator.server import SimServer

CHATTER_S = 1.0


def habits(server: "SimServer") -> Iterator[Coroutine[Any, Any, None]]:
    """The endless coroutines of this server's persona, to be run as tasks."""
    persona = server.persona
    if persona.users_every:
        yield _users(server, persona.users_every)
    if persona.evict_every:
        yield _evictions(server, persona.evict_every)
    if persona.restart_every:
        yield _restarts(server, persona.restart_every)
    if persona.chatter:
        yield _chatter(server)


async def _users(server: "SimServer", every: float) -> None:
    while True:
        if server.up:
            server.start_foreign_job(_around(server, server.persona.users_seconds))
        await asyncio.sleep(_around(server, every))


async def _evictions(server: "SimServer", every: float) -> None:
    while True:
        await asyncio.sleep(_around(server, every))
        if server.up:
            server.start_foreign_job(_around(server, server.persona.users_seconds))
            server.drop_keys(keep_executor=False)


async def _restarts(server: "SimServer", every: float) -> None:
    while True:
        await asyncio.sleep(_around(server, every))
        await server.go_down()
        await asyncio.sleep(_around(server, server.persona.down_seconds))
        await server.come_back()


async def _chatter(server: "SimServer") -> None:
    while True:
        await asyncio.sleep(CHATTER_S * server.scale)
        load = round(server.rng.uniform(1.0, 90.0), 1)
        gpus = [{"gpu_utilization": load, "gpu_temperature": 51, "vram_used_percent": load}]
        server.send("crystools.monitor", {"cpu_utilization": load, "device_type": "cuda", "gpus": gpus})


def _around(server: "SimServer", mean: float) -> float:
    """Seconds between half and one and a half times the mean, scaled."""
    return mean * server.scale * server.rng.uniform(0.5, 1.5)
