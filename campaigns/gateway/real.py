"""Three real ComfyUI servers that are killed and started again."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from typing_extensions import override

from campaigns.gateway.fleet import Fleet
from campaigns.gateway.moments import Moment
from campaigns.real_servers import RealServers, running
from tests.comfyui.rig import Graph, RealServer, cache_workflow

SERVERS = 3


class RealFleet(RealServers, Fleet):
    """Three real servers. Their moments are not known, so they are killed at any time."""

    moments: Sequence[Moment] = (Moment.ANY_TIME,)

    def __init__(self, folder: Path, servers: Sequence[RealServer], workflow: Graph) -> None:
        super().__init__(folder, servers, workflow)
        self._killed_at: defaultdict[str, list[float]] = defaultdict(list)

    @override
    async def kill(self, name: str) -> None:
        await self.servers[name].kill()
        self._killed_at[name].append(time.time())

    @override
    async def start(self, name: str) -> None:
        await self.servers[name].start()

    @override
    def repeated_alive(self) -> set[str]:
        written: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        for prompt_id, name, at in sorted(self.files(), key=lambda file: file[2]):
            written[prompt_id].append((at, name))
        return {prompt_id for prompt_id, runs in written.items() if any(map(self._lived, runs, runs[1:]))}

    @override
    async def finished(self) -> set[str]:
        histories = await asyncio.gather(*(server.history() for server in self.servers.values()))
        return {one for kept in histories for one, entry in kept.items() if entry["status"]["status_str"] == "success"}

    def _lived(self, run: tuple[float, str], next_run: tuple[float, str]) -> bool:
        """Return whether the server of a run was not killed before the next one."""
        at, name = run
        return not any(at <= killed <= next_run[0] for killed in self._killed_at[name])


@asynccontextmanager
async def real_fleet(folder: Path) -> AsyncIterator[RealFleet]:
    """Run the servers. Raises InstallError if ComfyUI is not installed."""
    workflow = cache_workflow("a")
    async with running(folder, workflow, [False] * SERVERS) as servers:
        yield RealFleet(folder, servers, workflow)
