"""Real ComfyUI servers. A prompt that ran twice has written two files, even if the server's history is lost."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from typing_extensions import override

from campaigns.gateway.fleet import Fleet, Json
from campaigns.gateway.moments import Moment
from tests.comfyui.pictures import Colour, colour_of
from tests.comfyui.rig import RealServer, Rig, cache_workflow

SERVERS = 3
SIDE = 256
ID_LENGTH = 36


class RealFleet(Fleet):
    """Three real servers. Their moments are not known, so they are killed at any time."""

    moments: Sequence[Moment] = (Moment.ANY_TIME,)
    workflows: Sequence[str] = ("cache",)

    def __init__(self, folder: Path, servers: Sequence[RealServer]) -> None:
        self.workflows_dir = folder / "workflows"
        self.workflows_dir.mkdir(exist_ok=True)
        (self.workflows_dir / "cache.json").write_text(json.dumps(cache_workflow("a")), encoding="utf-8")
        self._killed_at: dict[str, list[float]] = {}
        self._servers = {f"s{number}": server for number, server in enumerate(servers)}
        self.urls: Mapping[str, str] = {name: server.url for name, server in self._servers.items()}

    @override
    async def kill(self, name: str) -> None:
        await self._servers[name].kill()
        self._killed_at.setdefault(name, []).append(time.time())

    @override
    async def start(self, name: str) -> None:
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
        return Counter({prompt_id: len(runs) for prompt_id, runs in self._files().items()})

    @override
    def repeated_alive(self) -> set[str]:
        return {prompt_id for prompt_id, runs in self._files().items() if any(map(self._lived, runs, runs[1:]))}

    @override
    async def finished(self) -> set[str]:
        histories = await asyncio.gather(*(server.history() for server in self._servers.values()))
        return {one for kept in histories for one, entry in kept.items() if entry["status"]["status_str"] == "success"}

    def _files(self) -> Mapping[str, list[tuple[float, str]]]:
        """Return when and on which server each prompt has written its file, oldest first."""
        found: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
        for name, server in self._servers.items():
            for path in (server.folder / "output").glob("*.png"):
                found[path.name[:ID_LENGTH]].append((path.stat().st_mtime, name))
        return {prompt_id: sorted(runs) for prompt_id, runs in found.items()}

    def _lived(self, run: tuple[float, str], next_run: tuple[float, str]) -> bool:
        """Return whether the server of a run was not killed before the next one."""
        at, name = run
        return not any(at <= killed <= next_run[0] for killed in self._killed_at.get(name, ()))


def _colour(prompt_id: str) -> Colour:
    red, green, blue = bytes.fromhex(prompt_id[:6])
    return red, green, blue


@asynccontextmanager
async def real_fleet(folder: Path) -> AsyncIterator[RealFleet]:
    """Run the servers. Raises InstallError if ComfyUI is not installed."""
    rig = Rig(folder)
    try:
        servers = [rig.server(workflow=cache_workflow("a")) for _ in range(SERVERS)]
        await rig.start_all()
        yield RealFleet(folder, servers)
    finally:
        rig.end()
