"""A daemon over real servers, configured through settings and observed through its API."""

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

SHORT_TIMING = {
    "check_interval_s": 2,
    "auto_recheck_s": 1,
    "retry_s": 0.5,
    "busy_wait_s": 5,
    "failed_retry_s": 600,
    "lost_grace_s": 2,
    "link_backoff_max_s": 2,
}


class DaemonClient:
    """A client of the daemon's API."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session

    async def get(self, path: str) -> Any:
        """Return the JSON that a GET brings."""
        async with self._session.get(self.address + path) as response:
            return await response.json()

    async def post(self, path: str) -> int:
        """Send a POST without a body and return the status."""
        async with self._session.post(self.address + path) as response:
            return response.status

    async def server(self, server: RealServer) -> dict[str, Any]:
        """Return the details of one server."""
        detail: dict[str, Any] = await self.get(f"/api/servers/127.0.0.1:{server.port}")
        return detail

    async def wait_state(self, server: RealServer, state: str, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until the server is in `state`; return its details."""
        return await self.wait_until(server, lambda detail: detail["state"] == state, timeout_s)

    async def wait_until(
        self, server: RealServer, condition: Callable[[Mapping[str, Any]], bool], timeout_s: float = 60
    ) -> dict[str, Any]:
        """Wait until the server's details satisfy `condition`; return them. On timeout, fail with the last details."""
        deadline = time.monotonic() + timeout_s
        while not condition(detail := await self.server(server)):
            if time.monotonic() > deadline:
                raise AssertionError(json.dumps(detail, indent=1, ensure_ascii=False))
            await asyncio.sleep(0.05)
        return detail

    async def transitions(self, server: RealServer) -> list[tuple[str, str]]:
        """Return the server's transitions as (state, reason), oldest first."""
        detail = await self.server(server)
        return [(one["to"], one["reason"]) for one in reversed(detail["transitions"])]


@asynccontextmanager
async def running_over(
    folder: Path, servers: list[RealServer], workflows: Mapping[str, Graph], **settings: object
) -> AsyncIterator[DaemonClient]:
    """Run a daemon that keeps `workflows` warm on these servers; yield a client of its API."""
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
        "timing": SHORT_TIMING,
        "limits": {"max_warming_per_host": 8},
        "logging": {"file": None},
        **settings,
    }
    async with running_daemon(parse_settings(data, folder, {})) as daemon, aiohttp.ClientSession() as session:
        yield DaemonClient(daemon.address, session)


def warm_ups_in(history: Mapping[str, Any]) -> list[str]:
    """Return the ids of comfywarm's prompts in a server's history, by the marker in their extra_data."""
    return [prompt_id for prompt_id, entry in history.items() if "comfywarm" in entry["prompt"][3]]
