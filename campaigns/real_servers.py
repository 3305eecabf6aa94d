"""Real ComfyUI servers of a campaign, and prompts that each write one file of a colour of its own."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.comfyui.pictures import Colour, colour_of
from tests.comfyui.rig import Graph, RealServer, Rig

SIDE = 256
ID_LENGTH = 36


class RealServers:
    """Servers `s0`, `s1`, … that run, and the folder with the workflow file that the daemon keeps warm on them."""

    workflows: Sequence[str] = ("cache",)

    def __init__(self, folder: Path, servers: Sequence[RealServer], workflow: Graph) -> None:
        self.workflows_dir = folder / "workflows"
        self.workflows_dir.mkdir(exist_ok=True)
        (self.workflows_dir / "cache.json").write_text(json.dumps(workflow), encoding="utf-8")
        self.servers = {f"s{number}": server for number, server in enumerate(servers)}
        self.urls: Mapping[str, str] = {name: server.url for name, server in self.servers.items()}

    def graph(self, prompt_id: str) -> Graph:
        """Return a graph that writes a picture in the colour of this prompt, also if the server's cache is warm."""
        red, green, blue = _colour(prompt_id)
        colour = (red << 16) + (green << 8) + blue
        inputs = {"width": SIDE, "height": SIDE, "batch_size": 1, "color": colour}
        return {
            "1": {"class_type": "EmptyImage", "inputs": inputs},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prompt_id}},
        }

    def is_right(self, prompt_id: str, content: bytes) -> bool:
        """Return whether the picture has the prompt's colour."""
        return colour_of(content) == _colour(prompt_id)

    def runs(self) -> Mapping[str, int]:
        """Return how often each prompt ran, over all servers and their processes."""
        return Counter(prompt_id for prompt_id, _, _ in self.files())

    def files(self) -> list[tuple[str, str, float]]:
        """Return each file's prompt, server and time: one that ran twice has two, even if the history is lost."""
        return [
            (path.name[:ID_LENGTH], name, path.stat().st_mtime)
            for name, server in self.servers.items()
            for path in (server.folder / "output").glob("*.png")
        ]


def _colour(prompt_id: str) -> Colour:
    red, green, blue = bytes.fromhex(prompt_id[:6])
    return red, green, blue


@asynccontextmanager
async def running(folder: Path, workflow: Graph, nodes: Sequence[bool]) -> AsyncIterator[list[RealServer]]:
    """Run servers within the block, one for each of `nodes`: whether it has the companion node.

    They are started one after another. Raises InstallError if ComfyUI is not installed.
    """
    rig = Rig(folder)
    try:
        for node in nodes:
            await rig.server(workflow=workflow, node=node).start()
        yield rig.servers
    finally:
        rig.end()
