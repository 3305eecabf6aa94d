"""Simulated servers that report moments and record every run, over all their processes."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.gateway.fleet import Fleet, Json
from campaigns.gateway.moments import Moment, Moments
from statemachine.simulator.http import Request, Response
from statemachine.simulator.sockets import Gateway as Listeners
from tests.gateway.rig import image_graph
from tests.gateway.servers import FilesServer
from tests.support.paths import WORKFLOWS

SERVERS = 3
MARKER = "comfywarm_gateway"
SENT = {"execution_start": Moment.PROMPT_RUNS, "execution_success": Moment.PROMPT_ENDS}
LONGEST_S = 0.2
"""Of the first node of a graph."""


class RecordingServer(FilesServer):
    """A server that reports moments and the start of each run. `life` counts its processes."""

    def __init__(self, name: str, seed: int, fleet: "SimulatedFleet") -> None:
        super().__init__(seed)
        self.name = name
        self.life = 0
        self._fleet = fleet

    @override
    async def handle(self, request: Request) -> Response:
        if (request.method, request.path.removeprefix("/api")) != ("POST", "/prompt"):
            return await super().handle(request)
        await self._report(Moment.POST_ARRIVES)
        accepted = len(self.log)
        response = await super().handle(request)
        if len(self.log) > accepted:
            await self._report(Moment.POST_ACCEPTED)
        return response

    @override
    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        super().send(event, data, client_id)
        if event == "execution_start":
            self._fleet.note_run(self, data["prompt_id"])
        if event in SENT:
            self._fleet.happened.happened(SENT[event], self.name)

    @override
    async def go_down(self) -> None:
        self.life += 1
        await super().go_down()

    async def _report(self, moment: Moment) -> None:
        """Report a moment. Raises ConnectionError if it was the last of this process."""
        self._fleet.happened.happened(moment, self.name)
        await asyncio.sleep(0)
        self._refuse_if_down()


class SimulatedFleet(Fleet):
    """Three simulated servers in this process."""

    moments: Sequence[Moment] = tuple(Moment)
    workflows: Sequence[str] = ("cache_models",)
    workflows_dir = WORKFLOWS

    def __init__(self, listeners: Listeners, seed: int, happened: Moments) -> None:
        self.happened = happened
        self._rng = Random(seed)
        self._runs: defaultdict[str, list[tuple[RecordingServer, int]]] = defaultdict(list)
        self._repeated: set[str] = set()
        self._servers = {
            name: RecordingServer(name, seed, self) for name in (f"s{number}" for number in range(SERVERS))
        }
        bound = {name: listeners.add(server, "127.0.0.1", 0) for name, server in self._servers.items()}
        self.urls: Mapping[str, str] = {name: f"http://{host}:{port}" for name, (host, port) in bound.items()}

    @override
    async def kill(self, name: str) -> None:
        await self._servers[name].go_down()

    @override
    async def start(self, name: str) -> None:
        await self._servers[name].come_back()

    @override
    def graph(self, prompt_id: str) -> Json:
        return image_graph(prompt_id, self._rng.uniform(0, LONGEST_S))

    @override
    def is_right(self, prompt_id: str, content: bytes) -> bool:
        return content == prompt_id.encode()

    @override
    def runs(self) -> Mapping[str, int]:
        return Counter({prompt_id: len(runs) for prompt_id, runs in self._runs.items()})

    @override
    def repeated_alive(self) -> set[str]:
        return self._repeated

    @override
    async def finished(self) -> set[str]:
        histories = [server.process.queue.history for server in self._servers.values()]
        return {one for kept in histories for one, entry in kept.items() if entry["status"]["status_str"] == "success"}

    async def start_all(self) -> None:
        """Start every server."""
        for server in self._servers.values():
            await server.start()

    def note_run(self, server: RecordingServer, prompt_id: str) -> None:
        """Record the start of a run."""
        runs = self._runs[prompt_id]
        if any(before.life == life for before, life in runs):
            self._repeated.add(prompt_id)
        runs.append((server, server.life))


@asynccontextmanager
async def simulated_fleet(seed: int, happened: Moments) -> AsyncIterator[SimulatedFleet]:
    """Run the servers."""
    async with Listeners() as listeners:
        fleet = SimulatedFleet(listeners, seed, happened)
        await fleet.start_all()
        yield fleet
