"""Six real ComfyUI servers, every other one with the companion node."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from typing_extensions import override

from campaigns.real_servers import RealServers, running
from campaigns.rollout.fleet import SERVERS, Fleet
from tests.comfyui.rig import cache_workflow

LOADING_S = 2.0


class RealFleet(RealServers, Fleet):
    """Six real servers."""

    @override
    async def restart(self, name: str) -> None:
        await self.servers[name].stop()
        await self.servers[name].start()


@asynccontextmanager
async def real_fleet(folder: Path) -> AsyncIterator[RealFleet]:
    """Run the servers. Raises InstallError if ComfyUI is not installed."""
    workflow = cache_workflow("a", seconds=LOADING_S)
    async with running(folder, workflow, [number % 2 == 0 for number in range(SERVERS)]) as servers:
        yield RealFleet(folder, servers, workflow)
