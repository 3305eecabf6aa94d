"""Real ComfyUI servers for tests: start, ask, kill and start again.

    server = rig.server(manner=Manner.STARTS, workflow=cache_workflow("a", "b", seconds=0.5))
    await server.start()
    ...
    await server.kill()
    await server.start()  # the same port, nothing remembered

The fixture `rig` (see conftest.py) ends such servers whatever the test did.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import aiohttp

from tests.comfyui.client import POLL_S, Client, Graph, RigError
from tests.comfyui.install import HERE, Installation, environment, installed, prepare_base

__all__ = ["Graph", "Manner", "RealServer", "Rig", "RigError", "cache_workflow", "free_port", "keys_of"]

NODES = HERE / "nodes"
COMPANION = HERE.parent.parent / "comfyui_node"
HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0


class Manner(StrEnum):
    """What `GET /cache/check` of a server does when keys are missing."""

    NONE = "none"
    """There is no such route: 404."""
    SAYS = "says"
    """It only says so."""
    STARTS = "starts"
    """It says so and starts the server's own workflow, at each call once more."""


def cache_workflow(*keys: str, seconds: float = 0.2, tag: str = "model") -> Graph:
    """Load and cache one slow model a key, as in the transcripts: nodes 10, 11, … feed cache nodes 20, 21, …

    `seconds` is the time for each model. At most ten keys. `explode` and `raise` make their model node raise.
    """
    graph: Graph = {}
    for i, key in enumerate(keys):
        graph[f"{10 + i}"] = {"class_type": "RigSlowModel", "inputs": {"name": key, "seconds": seconds}}
        cache_inputs = {"key": key, "tag": tag, "data": [f"{10 + i}", 0]}
        graph[f"{20 + i}"] = {"class_type": "CacheBackendData //Inspire", "inputs": cache_inputs}
    return graph


def keys_of(graph: Graph) -> list[str]:
    """The keys that a workflow caches."""
    return [node["inputs"]["key"] for node in graph.values() if node["class_type"].startswith("CacheBackendData")]


class RealServer(Client):
    """One ComfyUI process on 127.0.0.1, its folder, its port, and what its plug-in is to do.

    `workflow` is what the server starts by itself in the manner `starts`; `keys` are what its check asks for,
    by default the workflow's; `preload` are there from every start on; `inspire=False` takes away the routes
    of Inspire-Pack. ComfyUI keeps output ids and input names in sets, so `hash_seed` decides which of two
    independent branches runs first. The port is kept over all starts.

    With `node` the companion node is installed, has `workflow` as its file `cache`, and answers the check in place
    of the rig; `auto_start` lets it start that workflow.
    """

    def __init__(
        self,
        folder: Path,
        *,
        manner: Manner = Manner.SAYS,
        keys: Iterable[str] | None = None,
        preload: Iterable[str] = (),
        workflow: Graph | None = None,
        inspire: bool = True,
        hash_seed: int = 0,
        node: bool = False,
        auto_start: bool = False,
    ) -> None:
        self.port = free_port()
        super().__init__(f"http://{HOST}:{self.port}", folder / "comfyui.log")
        self.folder = folder
        self.manner = Manner.NONE if node else manner
        self.workflow = workflow or {}
        self.keys_wanted = keys_of(self.workflow) if keys is None else list(keys)
        self.preload = list(preload)
        self.inspire = inspire
        self.hash_seed = hash_seed
        self.node = node
        self.auto_start = auto_start
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def start(self) -> None:
        """Start, and wait until it answers. Raises RigError with the log's end when it does not in time."""
        if self.running:
            raise self.error("it is running already")
        self._lay_out()
        self.process = self._spawn(installed())
        try:
            await self._until_answering()
        except BaseException:
            self.end()
            raise

    async def stop(self) -> None:
        """Ask it to leave (SIGTERM), and see it gone. Harmless when it is not running."""
        if self.process is not None:
            self.process.terminate()
            await asyncio.to_thread(self.end, STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """SIGKILL: no goodbye on any socket but the kernel's. Harmless when it is not running."""
        await asyncio.to_thread(self.end)

    def end(self, grace_s: float = 0.0) -> None:
        """See the process gone: after `grace_s` of patience by SIGKILL. Needs no event loop."""
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
        process.kill()
        process.wait(STOP_TIMEOUT_S)
        if process.stdin:
            process.stdin.close()

    def _lay_out(self) -> None:
        prepare_base(self.folder)
        self._install(NODES, "rig")
        if self.node:
            self._install(COMPANION, "comfywarm")
        self._workflow_file.parent.mkdir(exist_ok=True)
        self._workflow_file.write_text(json.dumps(self.workflow), encoding="utf-8")

    def _install(self, package: Path, name: str) -> None:
        target = self.folder / "custom_nodes" / name
        shutil.copytree(package, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))

    def _spawn(self, installation: Installation) -> subprocess.Popen[bytes]:
        """The process holds our end of its standard input for as long as we live: see nodes/__init__.py."""
        command = installation.command(self.folder, "--listen", HOST, "--port", str(self.port))
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self.folder,
            )

    @property
    def _workflow_file(self) -> Path:
        return self.folder / "own_workflows" / "cache.json"

    def _environment(self) -> dict[str, str]:
        return environment(self.folder) | {
            "PYTHONHASHSEED": str(self.hash_seed),
            "RIG_CACHE_CHECK": self.manner,
            "RIG_INSPIRE": str(int(self.inspire)),
            "RIG_KEYS": json.dumps(self.keys_wanted),
            "RIG_PRELOAD": json.dumps(self.preload),
            "RIG_WORKFLOW": str(self._workflow_file),
            "COMFYWARM_WORKFLOWS": str(self._workflow_file.parent),
            "COMFYWARM_AUTO_START": str(int(self.auto_start)),
        }

    async def _until_answering(self) -> None:
        give_up = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up:
            if not self.running:
                raise self.error("ComfyUI ended while it started")
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self.get("/rig/state")
                return
            await asyncio.sleep(POLL_S)
        raise self.error(f"no answer after {START_TIMEOUT_S:g} s")


class Rig:
    """Makes servers under one folder and ends them all: what the fixture `rig` gives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[RealServer] = []

    def server(
        self,
        *,
        manner: Manner = Manner.SAYS,
        keys: Iterable[str] | None = None,
        preload: Iterable[str] = (),
        workflow: Graph | None = None,
        inspire: bool = True,
        hash_seed: int = 0,
        node: bool = False,
        auto_start: bool = False,
    ) -> RealServer:
        """One server more, not started yet, on a free port, in a folder of its own. See RealServer."""
        folder = self.folder / f"server-{len(self.servers)}"
        server = RealServer(
            folder,
            manner=manner,
            keys=keys,
            preload=preload,
            workflow=workflow,
            inspire=inspire,
            hash_seed=hash_seed,
            node=node,
            auto_start=auto_start,
        )
        self.servers.append(server)
        return server

    async def start_all(self) -> list[RealServer]:
        """Start those that are not running, all at once. Returns every server of the rig."""
        await asyncio.gather(*(server.start() for server in self.servers if not server.running))
        return self.servers

    def end(self) -> None:
        """End every process that is still there."""
        for server in self.servers:
            server.end()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
