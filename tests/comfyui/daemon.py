"""A daemon over real servers, configured through settings and observed through its API."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cli.rig import cli
from tests.comfyui.rig import Graph, RealServer
from tests.support.daemon import DaemonClient, Json, daemon_in_process

SHORT_TIMING = {
    "check_interval_s": 2,
    "auto_recheck_s": 1,
    "retry_s": 0.5,
    "busy_wait_s": 5,
    "failed_retry_s": 600,
    "lost_grace_s": 2,
    "link_backoff_max_s": 2,
}


class RealServersClient(DaemonClient):
    """A client of the daemon's API that names a server by the real server's object."""

    async def server(self, server: RealServer) -> Json:
        """Return the details of one server."""
        return await self.detail(_name(server))

    async def wait_state(self, server: RealServer, state: str, timeout_s: float = 60) -> Json:
        """Wait until the server is in `state`; return its details."""
        return await self.wait_for_state(_name(server), state, timeout_s)

    async def wait_until(self, server: RealServer, holds: Callable[[Json], object], timeout_s: float = 60) -> Json:
        """Wait until the server's details satisfy `holds`; return them."""
        return await self.wait_for_detail(_name(server), holds, timeout_s)

    async def path_of(self, server: RealServer) -> list[tuple[str, str]]:
        """Return the server's transitions as (state, reason), oldest first."""
        return await self.transitions(_name(server))


async def doctor(
    folder: Path, server: RealServer, workflows: Mapping[str, Graph], /, **settings: object
) -> tuple[int, str]:
    """Return the exit code and the output of `doctor`, on one line."""
    directory = folder / "doctor"
    directory.mkdir()
    for name, graph in workflows.items():
        (directory / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    data = {"servers": [server.url], "workflows": list(workflows), "workflows_dir": str(directory), **settings}
    file = directory / "settings.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    result = await cli(file, "doctor")
    return result.exit_code, " ".join(result.stdout.split())


def _name(server: RealServer) -> str:
    return f"127.0.0.1:{server.port}"


@asynccontextmanager
async def running_over(
    folder: Path,
    servers: list[RealServer],
    workflows: Mapping[str, Graph],
    /,
    *,
    warm: str = "key",
    **settings: object,
) -> AsyncIterator[RealServersClient]:
    """Run a daemon that keeps `workflows` at the level `warm` on these servers; yield a client of its API."""
    directory = folder / "workflows"
    directory.mkdir(exist_ok=True)
    for name, graph in workflows.items():
        (directory / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    data = {
        "servers": [server.url for server in servers],
        "workflows": [{"name": name, "warm": warm} for name in workflows],
        "workflows_dir": str(directory),
        "data_dir": str(folder / "data"),
        "timing": SHORT_TIMING,
        "limits": {"max_warming_per_host": 8},
        **settings,
    }
    async with daemon_in_process(folder, data) as client:
        yield RealServersClient(client.address, client.session)


def attempts_in(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of comfywarm's prompts by the id that comfywarm chose; old servers choose another."""
    ours = [entry for entry in history.values() if "comfywarm" in entry["prompt"][3]]
    return {entry["prompt"][3]["comfywarm"]["attempt"]: entry for entry in ours}


def warm_ups_in(history: Mapping[str, Any]) -> list[str]:
    """Return the ids of comfywarm's prompts in a server's history, by the marker in their extra_data."""
    return [prompt_id for prompt_id, entry in history.items() if "comfywarm" in entry["prompt"][3]]
