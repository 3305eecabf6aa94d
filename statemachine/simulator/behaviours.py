"""Background behaviour of a simulated server: users' jobs, evictions, restarts and a plug-in's frames."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

from statemachine.simulator.server import ServerModel

MONITOR_INTERVAL_S = 1.0


def behaviours(server: ServerModel) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield the endless coroutines of the server's profile."""
    profile = server.profile
    if profile.users_every:
        yield _submit_user_jobs(server, profile.users_every)
    if profile.evict_every:
        yield _evict(server, profile.evict_every)
    if profile.unload_every:
        yield _unload(server, profile.unload_every)
    if profile.restart_every:
        yield _restart(server, profile.restart_every)
    if profile.dies_loading:
        yield _supervise(server)
    if profile.monitor_frames:
        yield _send_monitor_frames(server)


async def _submit_user_jobs(server: ServerModel, every: float) -> None:
    while True:
        if server.up:
            server.start_foreign_job(_jittered(server, server.profile.users_seconds))
        await asyncio.sleep(_jittered(server, every))


async def _evict(server: ServerModel, every: float) -> None:
    while True:
        await asyncio.sleep(_jittered(server, every))
        if server.up:
            server.start_foreign_job(_jittered(server, server.profile.users_seconds))
            server.drop_keys(keep_executor=False)


async def _unload(server: ServerModel, every: float) -> None:
    while True:
        await asyncio.sleep(_jittered(server, every))
        if server.up:
            server.unload_models()


async def _restart(server: ServerModel, every: float) -> None:
    while True:
        await asyncio.sleep(_jittered(server, every))
        await server.go_down()
        await asyncio.sleep(_jittered(server, server.profile.down_seconds))
        await server.come_back()


async def _supervise(server: ServerModel) -> None:
    """Restart the server whenever its process has died."""
    while True:
        await server.died.wait()
        server.died.clear()
        await server.go_down()
        await asyncio.sleep(_jittered(server, server.profile.down_seconds))
        await server.come_back()


async def _send_monitor_frames(server: ServerModel) -> None:
    while True:
        await asyncio.sleep(MONITOR_INTERVAL_S * server.scale)
        load = round(server.rng.uniform(1.0, 90.0), 1)
        gpus = [{"gpu_utilization": load, "gpu_temperature": 51, "vram_used_percent": load}]
        server.send("crystools.monitor", {"cpu_utilization": load, "device_type": "cuda", "gpus": gpus})


def _jittered(server: ServerModel, mean: float) -> float:
    """Return scaled seconds between 0.5 and 1.5 times the mean."""
    return mean * server.scale * server.rng.uniform(0.5, 1.5)
