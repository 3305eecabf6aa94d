"""The real daemon over real servers: started as an operator's settings would, read as an outsider reads it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from tests.comfyui.rig import Graph, RealServer

QUICK = {
    "check_interval_s": 2,
    "auto_recheck_s": 1,
    "retry_s": 0.5,
    "busy_wait_s": 5,
    "failed_retry_s": 600,
    "lost_grace_s": 2,
    "link_backoff_max_s": 2,
}


class Watcher:
    """Reads the daemon's web side."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        async with self._session.get(self.address + path) as response:
            return await response.json()

    async def post(self, path: str) -> int:
        """The status of a POST."""
        async with self._session.post(self.address + path) as response:
            return response.status

    async def server(self, server: RealServer) -> dict[str, Any]:
        """Everything about one server."""
        detail: dict[str, Any] = await self.get(f"/api/servers/127.0.0.1:{server.port}")
        return detail

    async def until(self, server: RealServer, state: str, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until the server is in that state."""
        return await self.until_true(server, lambda detail: detail["state"] == state, timeout_s)

    async def until_true(
        self, server: RealServer, holds: Callable[[Mapping[str, Any]], bool], timeout_s: float = 60
    ) -> dict[str, Any]:
        """Wait until the server's detail satisfies `holds`; the failure shows what it was instead."""
        deadline = time.monotonic() + timeout_s
        while not holds(detail := await self.server(server)):
            if time.monotonic() > deadline:
                raise AssertionError(json.dumps(detail, indent=1, ensure_ascii=False))
            await asyncio.sleep(0.05)
        return detail

    async def path_of(self, server: RealServer) -> list[tuple[str, str]]:
        """The server's transitions, oldest first, as (state, reason)."""
        detail = await self.server(server)
        return [(one["to"], one["reason"]) for one in reversed(detail["transitions"])]


@asynccontextmanager
async def watched(
    folder: Path, servers: list[RealServer], workflows: Mapping[str, Graph], **settings: object
) -> AsyncIterator[Watcher]:
    """A daemon over these servers, which must have `workflows`."""
    directory = folder / "workflows"
    directory.mkdir(exist_ok=True)
    for name, graph in workflows.items():
        (directory / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    data = {
        "servers": [server.url for server in servers],
        "workflows": list(workflows),
        "workflows_dir": str(directory),
        "data_dir": str(folder / "data"),
        "listen": {"port": 0},
        "timing": QUICK,
        "limits": {"max_warming_per_host": 8},
        "logging": {"file": None},
        **settings,
    }
    async with running_daemon(parse_settings(data, folder, {})) as daemon, aiohttp.ClientSession() as session:
        yield Watcher(daemon.address, session)


def ours(history: Mapping[str, Any]) -> list[str]:
    """The prompt ids in a server's own history that we submitted, by the marker in their extra_data."""
    return [prompt_id for prompt_id, entry in history.items() if "comfywarm" in entry["prompt"][3]]
