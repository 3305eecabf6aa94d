"""One daemon of the cluster: its process and its HTTP API."""

import json
import signal
from pathlib import Path
from typing import Any

import aiohttp

from campaigns.cluster.ledger import SENDER, sender
from campaigns.kill.process import DaemonProcess
from tests.support.paths import WORKFLOWS

LEASE_S = 5.0
MARGIN_S = 2.0
"""Within this time after the lease every server of a dead node must have another owner."""
TIMING = {
    "check_interval_s": 30,
    "auto_recheck_s": 0.5,
    "http_timeout_s": 6,
    "warm_timeout_s": 60,
    "retry_s": 0.2,
    "failed_retry_s": 3,
    "lost_grace_s": 12,
    "link_stable_s": 1,
    "link_backoff_max_s": 1,
}
LIMITS = {"max_warming": 64, "max_warming_per_host": 10}
PATIENCE = aiohttp.ClientTimeout(20)


class Node(DaemonProcess):
    """One node's daemon process, with log and journal below `folder/name`."""

    def __init__(self, name: str, folder: Path, urls: dict[str, str], nats: list[str]) -> None:
        self.name = name
        own = folder / name
        own.mkdir()
        super().__init__(own, settings_for(name, urls, nats))

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET request."""
        return json.loads(await self.text(path))

    async def text(self, path: str) -> str:
        """Return the text of a GET request."""
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.get(f"{self.address}{path}") as response,
        ):
            response.raise_for_status()
            return await response.text()

    async def act(self, server: str, action: str) -> int:
        """Request an action; return the response's status."""
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.post(f"{self.address}/api/servers/{server}/{action}") as response,
        ):
            return response.status

    async def status(self) -> dict[str, dict[str, Any]]:
        """Return the status of each server by name."""
        return {line["name"]: line for line in (await self.get("/api/status"))["servers"]}

    def errors_in_log(self) -> list[str]:
        """Return the log's errors, except those about an unreachable NATS."""
        return [f"{self.name}: {line}" for line in self.faults() if "no connection to NATS" not in line]


def settings_for(name: str, urls: dict[str, str], nats: list[str]) -> dict[str, Any]:
    """Return the settings of one node, which sends its name to the servers."""
    headers = {SENDER: sender(name)}
    return {
        "servers": [{"url": url, "name": server, "headers": headers} for server, url in urls.items()],
        "workflows": ["cache_models"],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "limits": LIMITS,
        "cluster": {"nats": nats, "node": name, "lease_s": LEASE_S},
    }
