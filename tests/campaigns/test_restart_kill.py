"""A real daemon that is killed by SIGKILL at points of a restart: its hook runs once, and the server is warm again."""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from campaigns.kill.campaign import TIMING
from campaigns.kill.process import DaemonProcess
from statemachine.simulator import PROFILES, SimServer, running_fleet
from tests.faults.hooks import HookProgram
from tests.support.paths import WORKFLOWS
from tests.support.polling import wait_until

AWAY_S = 1.0
POINTS = ("answered", "hook runs", "server is away", "server is back")
HOOK_TAKES = "time.sleep(0.5)\n"


class Deployment:
    """One daemon over one simulated server, whose restart the hook causes."""

    def __init__(self, daemon: DaemonProcess, hook: HookProgram, server: SimServer, name: str) -> None:
        self._daemon, self._hook, self._server, self._name = daemon, hook, server, name

    async def detail(self) -> dict[str, Any]:
        """Return the server as the API shows it."""
        address = f"{self._daemon.address}/api/servers/{self._name}"
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            shown: dict[str, Any] = await response.json()
        return shown

    async def until(self, state: str, stage: str | None) -> dict[str, Any]:
        """Wait until the server is in this state, and its latest restart at this stage."""
        while True:
            one = await self.detail()
            if one.get("state") == state and (one["restart"] or {}).get("stage") == stage:
                return one
            await asyncio.sleep(0.1)

    async def ask(self) -> None:
        """Request a restart, and return once it is answered."""
        address = f"{self._daemon.address}/api/servers/{self._name}/restart"
        async with aiohttp.ClientSession() as session, session.post(address) as response:
            assert response.status == HTTPStatus.ACCEPTED

    async def kill_at(self, point: str) -> None:
        """Follow the restart, kill the daemon at this point, and start it again."""
        await self.ask()
        for step in POINTS:
            if step == "hook runs":
                await wait_until(lambda: self._hook.servers)
            elif step == "server is away":
                await self._server.go_down()
            elif step == "server is back":
                await asyncio.sleep(AWAY_S)
                await self._server.come_back()
            if step == point:
                self._daemon.kill()
                await self._daemon.wait_ended()
                await self._daemon.start()
                await self._daemon.until_answering()


@pytest.mark.campaign
@pytest.mark.timeout(90)
@pytest.mark.parametrize("point", POINTS)
async def test_killed_daemon_runs_the_hook_once_and_warms(tmp_path: Path, point: str) -> None:
    hook = HookProgram(tmp_path, HOOK_TAKES)
    async with running_fleet([PROFILES["cold"]], scale=0.01) as fleet:
        settings = {
            "servers": fleet.urls,
            "workflows_dir": str(WORKFLOWS),
            "workflows": ["cache_models"],
            "timing": TIMING,
            "restart": hook.settings(),
        }
        async with DaemonProcess(tmp_path, settings).running() as daemon:
            deployment = Deployment(daemon, hook, fleet.servers[0], fleet.members[0].name)
            await deployment.until("loaded", None)
            await deployment.kill_at(point)
            await deployment.until("loaded", "succeeded")
    assert hook.servers == [fleet.members[0].name]
