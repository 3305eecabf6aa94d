"""Six real ComfyUI servers, every other one with the companion node. Each prompt writes a file in any case."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from typing_extensions import override

from campaigns.rollout.fleet import SERVERS, Fleet, Json
from tests.comfyui.pictures import Colour, colour_of
from tests.comfyui.rig import RealServer, Rig, cache_workflow

SIDE = 256
ID_LENGTH = 36
LOADING_S = 2.0


class RealFleet(Fleet):
    """Six real servers."""

    workflows: Sequence[str] = ("cache",)

    def __init__(self, folder: Path, servers: Sequence[RealServer]) -> None:
        self.workflows_dir = folder / "workflows"
        self.workflows_dir.mkdir(exist_ok=True)
        graph = json.dumps(cache_workflow("a", seconds=LOADING_S))
        (self.workflows_dir / "cache.json").write_text(graph, encoding="utf-8")
        self._servers = {f"s{number}": server for number, server in enumerate(servers)}
        self.urls: Mapping[str, str] = {name: server.url for name, server in self._servers.items()}

    @override
    async def restart(self, name: str) -> None:
        await self._servers[name].stop()
        await self._servers[name].start()

    @override
    def graph(self, prompt_id: str) -> Json:
        red, green, blue = _colour(prompt_id)
        colour = (red << 16) + (green << 8) + blue
        inputs = {"width": SIDE, "height": SIDE, "batch_size": 1, "color": colour}
        return {
            "1": {"class_type": "EmptyImage", "inputs": inputs},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prompt_id}},
        }

    @override
    def is_right(self, prompt_id: str, content: bytes) -> bool:
        return colour_of(content) == _colour(prompt_id)

    @override
    def runs(self) -> Mapping[str, int]:
        files = [path for one in self._servers.values() for path in (one.folder / "output").glob("*.png")]
        return Counter(path.name[:ID_LENGTH] for path in files)


def _colour(prompt_id: str) -> Colour:
    red, green, blue = bytes.fromhex(prompt_id[:6])
    return red, green, blue


@asynccontextmanager
async def real_fleet(folder: Path) -> AsyncIterator[RealFleet]:
    """Run the servers, started one after another. Raises InstallError if ComfyUI is not installed."""
    rig = Rig(folder)
    try:
        graph = cache_workflow("a", seconds=LOADING_S)
        servers = [rig.server(workflow=graph, node=number % 2 == 0) for number in range(SERVERS)]
        for server in servers:
            await server.start()
        yield RealFleet(folder, servers)
    finally:
        rig.end()
