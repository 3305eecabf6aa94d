"""Real ComfyUI servers register themselves, are warmed, and stand in a real HAProxy."""

import asyncio
import json
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.daemon.app import running_daemon
from statemachine.discovery.store import known_servers
from statemachine.settings import Settings, parse_settings
from statemachine.traffic.haproxy import backend_text
from tests.comfyui.companion import FLOW
from tests.comfyui.daemon import SHORT_TIMING
from tests.comfyui.rig import RealServer, Rig
from tests.deploy.haproxy_harness import SHIPPED, haproxy
from tests.support.daemon import DaemonClient
from tests.support.polling import wait_for

WITHIN_S = 30.0
"""From the first answer of the servers to a request through HAProxy."""

TOKEN = "geheim-token"


class Balancer:
    """HAProxy on one listener, started again whenever the daemon has discovered servers."""

    def __init__(self, folder: Path, settings: Settings, agent_port: int) -> None:
        self._folder, self._settings, self._agent_port = folder, settings, agent_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._running = AsyncExitStack()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def renew(self) -> None:
        """Run HAProxy with the servers that the daemon knows now, as `comfywarm haproxy` prints them."""
        await self.stop()
        (self._folder / "stats").unlink(missing_ok=True)
        await self._running.enter_async_context(haproxy(self._folder, self._text(), self._listener.fileno()))

    async def stop(self) -> None:
        await self._running.aclose()

    async def close(self) -> None:
        await self.stop()
        self._listener.close()

    async def known(self) -> list[str]:
        """Return the servers that the commands know."""
        return [one.name for one in await asyncio.to_thread(known_servers, self._settings)]

    def _text(self) -> str:
        head, _ = SHIPPED.read_text(encoding="utf-8").split("\nbackend ")
        head = head.replace("bind :8080", f"bind fd@{self._listener.fileno()}")
        head = head.replace("\nglobal\n", f"\nglobal\n    stats socket {self._folder}/stats\n")
        servers = known_servers(self._settings)
        return head + "\n" + backend_text(servers, "comfyui", "127.0.0.1", self._agent_port)

    async def statuses(self) -> dict[str, str]:
        """Return the status of each server in HAProxy."""
        reader, writer = await asyncio.open_unix_connection(self._folder / "stats")
        writer.write(b"show stat\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        keys = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(keys, line.split(","), strict=False)) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows if row["svname"] not in {"FRONTEND", "BACKEND"}}


@asynccontextmanager
async def balanced(folder: Path) -> AsyncIterator[tuple[DaemonClient, Balancer]]:
    """Run a daemon at which servers register, and HAProxy in front of them."""
    (folder / "flow.json").write_text(json.dumps(FLOW), encoding="utf-8")
    data: dict[str, Any] = {
        "discovery": [{"kind": "register", "name": "nodes", "heartbeat_s": 0.5, "grace_s": 1, "group_label": "pool"}],
        "workflows": ["flow"],
        "workflows_dir": str(folder),
        "listen": {"port": 0, "tokens": {"nodes": {"token": TOKEN, "may": "register"}}},
        "logging": {"file": None},
        "timing": SHORT_TIMING,
        "traffic": {"agent_port": 0},
    }
    settings = parse_settings(data, folder, {})
    async with running_daemon(settings) as daemon, aiohttp.ClientSession() as session:
        assert daemon.agent is not None
        balancer = Balancer(folder, settings, daemon.agent[1])
        try:
            yield DaemonClient(daemon.address, session), balancer
        finally:
            await balancer.close()


def registering(rig: Rig, daemon: str, pool: str) -> RealServer:
    server = rig.server(node=True, workflow=FLOW)
    server.variables = {"COMFYWARM_DAEMON": daemon, "COMFYWARM_TOKEN": TOKEN, "COMFYWARM_LABELS": f"pool={pool}"}
    return server


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_servers_that_register_stand_in_haproxy(rig: Rig, tmp_path: Path) -> None:
    if shutil.which("haproxy") is None:
        pytest.skip("needs HAProxy: make deploy-programs")
    async with balanced(tmp_path) as (client, balancer):
        servers = [registering(rig, client.address, pool) for pool in ("large", "small")]
        started = time.monotonic()
        await rig.start_all()
        answered = time.monotonic()
        status = await client.wait_for("/api/status", lambda one: one["states"] == {"loaded": 2}, 120)
        warm = time.monotonic()
        await wait_for(balancer.known, lambda known: len(known) == 2)
        await balancer.renew()
        up = {f"127.0.0.1:{server.port}": "UP" for server in servers}
        await wait_for(balancer.statuses, lambda found: found == up)
        async with client.session.get(f"{balancer.url}/system_stats") as response:
            assert response.status == 200
        in_haproxy = time.monotonic()
        print(
            f"ComfyUI answers after {answered - started:.1f} s; warm {warm - answered:.1f} s later; in HAProxy "
            f"{in_haproxy - warm:.1f} s after that"
        )
        assert in_haproxy - answered < WITHIN_S
        assert {one["group"] for one in status["servers"]} == {"large", "small"}
        await servers[0].stop()
        gone = f"127.0.0.1:{servers[0].port}"
        await client.wait_for("/api/status", lambda one: gone not in {each["name"] for each in one["servers"]}, 60)
        await wait_for(balancer.known, lambda known: gone not in known)
