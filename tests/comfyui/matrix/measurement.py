"""Run one ComfyUI in every situation, for each kind of check."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
from loguru import logger

from statemachine.core.vocabulary import Reason
from tests.comfyui.daemon import RealServersClient, running_over
from tests.comfyui.install import InstallError, installed
from tests.comfyui.matrix import situations
from tests.comfyui.matrix.kinds import KINDS, Kind
from tests.comfyui.matrix.table import FAILED, SITUATIONS, Cells
from tests.comfyui.rig import Graph, RealServer, Rig, RigError

SHOWN = 160
"""Characters of a failure in a cell."""


class Measurement:
    """The measurement of the installed ComfyUI, with the Inspire-Pack in the folder `pack` or the rig's stand-in."""

    def __init__(self, folder: Path, pack: Path | None = None, report: Callable[[str], None] = print) -> None:
        self._folder = folder
        self._pack = pack
        self._report = report
        self._version = installed().version

    async def cells(self) -> dict[str, list[str]]:
        """Return a cell for each situation, by kind of check. Needs the pack for the kind `inspire`."""
        kinds = [kind for kind in KINDS if kind.name != "inspire" or self._pack]
        return {kind.name: await self.row(kind) for kind in kinds}

    async def row(self, kind: Kind) -> list[str]:
        """Return the cells of one kind."""
        found: dict[str, str] = {}
        async with self._daemon_over(kind, kind.flow) as (daemon, server):
            for name, situation in (
                ("cold", situations.cold),
                ("eviction", situations.eviction),
                ("restart", situations.restart),
                ("foreign client", situations.foreign_client),
            ):
                found[name] = await self._cell(kind, name, partial(situation, daemon, server, kind))
        for name, graph, reason, prompts in (
            ("raising node", kind.raising, Reason.PROMPT_FAILED, 1),
            ("missing node", kind.missing, Reason.MISSING_NODES, 0),
        ):
            async with self._daemon_over(kind, graph) as (daemon, server):
                failure = partial(situations.failure, daemon, server, reason, prompts)
                found[name] = await self._cell(kind, name, failure)
        return [found[name] for name in SITUATIONS]

    @asynccontextmanager
    async def _daemon_over(self, kind: Kind, graph: Graph) -> AsyncIterator[tuple[RealServersClient, RealServer]]:
        """Run a daemon over a new server that both end with the block."""
        folder = self._folder / f"{self._version}-{kind.name}-{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        rig = Rig(folder)
        server = rig.server(workflow=graph, pack=self._pack if kind.has_keys else None, **kind.server)
        try:
            await server.start()
            await self._require_pack(server)
            async with running_over(folder, [server], {"flow": graph}) as daemon:
                yield daemon, server
        finally:
            rig.end()

    async def _require_pack(self, server: RealServer) -> None:
        """Raise InstallError unless Inspire-Pack has loaded where it is installed."""
        try:
            if server.pack:
                await server.get("/inspire/cache/list")
        except RigError as error:
            raise InstallError(
                f"Inspire-Pack in {self._pack} did not load in ComfyUI {self._version}; "
                f"install its requirements.txt into {installed().python}, or use an earlier commit of it\n{error}"
            ) from None

    async def _cell(self, kind: Kind, name: str, situation: Callable[[], Awaitable[str]]) -> str:
        """Return what was seen, or how it was wrong."""
        try:
            text = await situation()
        except (AssertionError, RigError, TimeoutError, aiohttp.ClientError) as error:
            self._report(f"{self._version} {kind.name}, {name}: {error!r}")
            return f"{FAILED}: {first_line(error)}"
        self._report(f"{self._version} {kind.name}, {name}: {text}")
        return text


def first_line(error: Exception) -> str:
    """Return the beginning of an error as the text of a cell."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:SHOWN].replace("|", "/")


def measured(folder: Path | None, pack: Path | None, logs: Path | None) -> tuple[str, Cells]:
    """Return the version in the folder and its cells."""
    if folder is not None:
        os.environ["COMFYWARM_COMFYUI_DIR"] = str(folder)
    version = installed().version
    logs = logs or Path(tempfile.mkdtemp(prefix="comfyui-matrix-"))
    logs.mkdir(parents=True, exist_ok=True)
    logger.remove()
    logger.add(logs / "daemon.log")
    return version, asyncio.run(Measurement(logs, pack).cells())
