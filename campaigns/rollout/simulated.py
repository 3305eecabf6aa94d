"""Six simulated servers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.rollout.fleet import SERVERS, Fleet, Json
from statemachine.simulator.sockets import Gateway as Listeners
from tests.gateway.rig import image_graph
from tests.gateway.servers import FilesServer
from tests.support.paths import WORKFLOWS

LONGEST_S = 0.2
"""Of the first node of a graph."""
AWAY_S = 0.3
"""How long a server is away."""


class CountingServer(FilesServer):
    """A server that records the start of each run, over all its processes. Files survive its process."""

    def __init__(self, seed: int, runs: Counter[str]) -> None:
        super().__init__(seed)
        self._runs = runs

    @override
    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        super().send(event, data, client_id)
        if event == "execution_start":
            self._runs[data["prompt_id"]] += 1


class SimulatedFleet(Fleet):
    """Six simulated servers in this process."""

    workflows: Sequence[str] = ("cache_models",)
    workflows_dir = WORKFLOWS

    def __init__(self, listeners: Listeners, seed: int) -> None:
        self._random = Random(seed)
        self._runs: Counter[str] = Counter()
        self._servers = {f"s{number}": CountingServer(seed + number, self._runs) for number in range(SERVERS)}
        bound = {name: listeners.add(server, "127.0.0.1", 0) for name, server in self._servers.items()}
        self.urls: Mapping[str, str] = {name: f"http://{host}:{port}" for name, (host, port) in bound.items()}

    @override
    async def restart(self, name: str) -> None:
        await self._servers[name].go_down()
        await asyncio.sleep(AWAY_S)
        await self._servers[name].come_back()

    @override
    def graph(self, prompt_id: str) -> Json:
        return image_graph(prompt_id, self._random.uniform(0, LONGEST_S))

    @override
    def is_right(self, prompt_id: str, content: bytes) -> bool:
        return content == prompt_id.encode()

    @override
    def runs(self) -> Mapping[str, int]:
        return self._runs

    async def start_all(self) -> None:
        """Start every server."""
        for server in self._servers.values():
            await server.start()


@asynccontextmanager
async def simulated_fleet(seed: int) -> AsyncIterator[SimulatedFleet]:
    """Run the servers."""
    async with Listeners() as listeners:
        fleet = SimulatedFleet(listeners, seed)
        await fleet.start_all()
        yield fleet
