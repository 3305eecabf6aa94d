"""Real ComfyUI servers as processes that tests start, kill and start again.

    server = rig.server(check_mode=CheckMode.START, workflow=cache_workflow("a", "b", seconds=0.5))
    await server.start()
    ...
    await server.kill()
    await server.start()  # the same port, with an empty cache and history

The fixture `rig` in conftest.py stops the servers after the test.
"""

import asyncio
import contextlib
import json
import shutil
import signal
import time
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import aiohttp

from tests.comfyui.client import POLL_S, Graph, RigClient, RigError
from tests.comfyui.install import HERE, environment, installed, prepare_base
from tests.comfyui.preloader import ServerProcess, preloader
from tests.security.authority import Pair
from tests.support.ports import free_port

__all__ = ["CheckMode", "Graph", "RealServer", "Rig", "RigError", "cache_workflow", "keys_of"]

NODES = HERE / "nodes"
COMPANION = HERE.parent.parent / "comfyui_node"
PREVIEWS = "websocket_image_save.py"
"""ComfyUI's own node that sends pictures as binary frames; it is not found below another base folder."""
HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0


class CheckMode(StrEnum):
    """What a server's `GET /cache/check` does if keys are missing."""

    NONE = "none"
    """The route does not exist: 404."""
    REPORT = "report"
    """Report the missing keys."""
    START = "start"
    """Report the missing keys and start the server's own workflow, at each call again."""


def cache_workflow(*keys: str, seconds: float = 0.2, tag: str = "model") -> Graph:
    """Return a workflow that loads and caches a slow model for each key, as in the transcripts.

    Nodes 10, 11, … feed cache nodes 20, 21, …, so there are at most ten keys. `seconds` is the loading time of each
    model. The keys `explode` and `raise` make their model node raise.
    """
    graph: Graph = {}
    for i, key in enumerate(keys):
        graph[f"{10 + i}"] = {"class_type": "RigSlowModel", "inputs": {"name": key, "seconds": seconds}}
        cache_inputs = {"key": key, "tag": tag, "data": [f"{10 + i}", 0]}
        graph[f"{20 + i}"] = {"class_type": "CacheBackendData //Inspire", "inputs": cache_inputs}
    return graph


def keys_of(graph: Graph) -> list[str]:
    """Return the keys that a workflow caches."""
    return [node["inputs"]["key"] for node in graph.values() if node["class_type"].startswith("CacheBackendData")]


def tls_arguments(tls: Pair | None) -> list[str]:
    """Return the arguments with which ComfyUI presents a certificate."""
    return [] if tls is None else ["--tls-certfile", str(tls.certificate), "--tls-keyfile", str(tls.key)]


class RealServer(RigClient):
    """One ComfyUI process on 127.0.0.1. It keeps its port over all starts.

    `workflow` is what the server starts itself with CheckMode.START. `keys` are the keys that its check requires, by
    default those of `workflow`. `preload` are keys that are cached at every start. `inspire=False` removes the routes
    of Inspire-Pack. `pack` is a folder with the real Inspire-Pack, which replaces the rig's stand-in.

    ComfyUI keeps output ids and input names in sets, so `hash_seed` decides which of two independent branches runs
    first.

    With `node`, the companion node is installed, has `workflow` as its file `cache`, and answers the check instead of
    the rig. `auto_start` lets it start that workflow. `arguments` are further ones for ComfyUI's command line. With
    `tls` it speaks only https, with this certificate.
    """

    def __init__(
        self,
        folder: Path,
        *,
        check_mode: CheckMode = CheckMode.REPORT,
        keys: Iterable[str] | None = None,
        preload: Iterable[str] = (),
        workflow: Graph | None = None,
        inspire: bool = True,
        pack: Path | None = None,
        hash_seed: int = 0,
        node: bool = False,
        auto_start: bool = False,
        arguments: Sequence[str] = (),
        tls: Pair | None = None,
    ) -> None:
        self.port = free_port()
        super().__init__(f"{'https' if tls else 'http'}://{HOST}:{self.port}", folder / "comfyui.log")
        self.folder = folder
        self.check_mode = CheckMode.NONE if node else check_mode
        self.workflow = workflow or {}
        self.required_keys = keys_of(self.workflow) if keys is None else list(keys)
        self.preload = list(preload)
        self.inspire = inspire
        self.pack = pack
        self.hash_seed = hash_seed
        self.node = node
        self.auto_start = auto_start
        self.arguments = [*arguments, *tls_arguments(tls)]
        self.variables: dict[str, str] = {}
        """More environment variables of the process, from its next start on."""
        self.process: ServerProcess | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    async def start(self) -> None:
        """Start the process and wait until it answers. Raises RigError with the end of the log on timeout."""
        if self.running:
            raise self.error("already running")
        self._prepare_folder()
        self.process = await asyncio.to_thread(self._spawn)
        try:
            await self._wait_for_answer()
        except BaseException:
            self.end()
            raise

    async def stop(self) -> None:
        """Send SIGTERM and wait until the process has ended. Does nothing if it is not running."""
        if self.process is not None:
            self.process.send(signal.SIGTERM)
            await asyncio.to_thread(self.end, STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """Send SIGKILL and wait until the process has ended. Does nothing if it is not running."""
        await asyncio.to_thread(self.end)

    def end(self, grace_s: float = 0.0) -> None:
        """Wait up to `grace_s` seconds, then kill the process. Blocks; needs no event loop."""
        process, self.process = self.process, None
        if process is not None:
            process.wait(grace_s)
            process.close()

    def _prepare_folder(self) -> None:
        prepare_base(self.folder)
        self._install(NODES, "rig")
        if self.node:
            self._install(COMPANION, "comfywarm")
        if self.pack:
            self._install(self.pack, "inspire-pack")
        shutil.copy(installed().comfyui / "custom_nodes" / PREVIEWS, self.folder / "custom_nodes")
        self._workflow_file.parent.mkdir(exist_ok=True)
        self._workflow_file.write_text(json.dumps(self.workflow), encoding="utf-8")

    def _install(self, package: Path, name: str) -> None:
        target = self.folder / "custom_nodes" / name
        shutil.copytree(package, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))

    def _spawn(self) -> ServerProcess:
        """Start the process. It ends when this process ends; see nodes/__init__.py."""
        arguments = installed().arguments(self.folder, "--listen", HOST, "--port", str(self.port), *self.arguments)
        return preloader(self.hash_seed).start(arguments, self._environment(), self.folder, self.log)

    @property
    def _workflow_file(self) -> Path:
        return self.folder / "own_workflows" / "cache.json"

    def _environment(self) -> dict[str, str]:
        return (
            environment(self.folder)
            | self.variables
            | {
                "RIG_CACHE_CHECK": self.check_mode,
                "RIG_INSPIRE": "pack" if self.pack else "stand-in" if self.inspire else "node",
                "RIG_KEYS": json.dumps(self.required_keys),
                "RIG_PRELOAD": json.dumps(self.preload),
                "RIG_WORKFLOW": str(self._workflow_file),
                "COMFYWARM_WORKFLOWS": str(self._workflow_file.parent),
                "COMFYWARM_AUTO_START": str(int(self.auto_start)),
            }
        )

    async def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.running:
                raise self.error("ComfyUI exited during startup")
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self.get("/rig/state")
                return
            await asyncio.sleep(POLL_S)
        raise self.error(f"no answer after {START_TIMEOUT_S:g} s")


class Rig:
    """Creates servers in one folder and stops them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[RealServer] = []

    def server(
        self,
        *,
        check_mode: CheckMode = CheckMode.REPORT,
        keys: Iterable[str] | None = None,
        preload: Iterable[str] = (),
        workflow: Graph | None = None,
        inspire: bool = True,
        pack: Path | None = None,
        hash_seed: int = 0,
        node: bool = False,
        auto_start: bool = False,
        arguments: Sequence[str] = (),
        tls: Pair | None = None,
    ) -> RealServer:
        """Create a server on a free port with its own folder, without starting it. Arguments: see RealServer."""
        folder = self.folder / f"server-{len(self.servers)}"
        server = RealServer(
            folder,
            check_mode=check_mode,
            keys=keys,
            preload=preload,
            workflow=workflow,
            inspire=inspire,
            pack=pack,
            hash_seed=hash_seed,
            node=node,
            auto_start=auto_start,
            arguments=arguments,
            tls=tls,
        )
        self.servers.append(server)
        return server

    async def start_all(self) -> list[RealServer]:
        """Start the servers that are not running, concurrently. Returns all servers of the rig."""
        await asyncio.gather(*(server.start() for server in self.servers if not server.running))
        return self.servers

    def end(self) -> None:
        """Stop every process that is still running."""
        for server in self.servers:
            server.end()
