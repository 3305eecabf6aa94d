"""The agent port and /api/route of a daemon over simulated servers."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from statemachine.core.ports import Action
from statemachine.daemon.app import Daemon, running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, running_fleet
from tests.support.paths import WORKFLOWS
from tests.support.polling import PATIENCE_S, wait_for


async def agent_says(daemon: Daemon, name: str) -> str:
    assert daemon.agent is not None
    reader, writer = await asyncio.open_connection(*daemon.agent)
    writer.write(f"{name}\n".encode())
    answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return answer.decode()


async def route(daemon: Daemon, query: str = "") -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.address}/api/route{query}") as response:
        return response.status, await response.json()


async def test_agent_and_route_follow_server_states(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"], PROFILES["stalling"]]) as fleet:
        warm, stalled = fleet.members
        data = {
            "servers": [{"url": warm.url, "name": "warm"}, {"url": stalled.url, "name": "stalled", "group": "lab"}],
            "workflows_dir": str(WORKFLOWS),
            "listen": {"port": 0},
            "logging": {"file": None},
            "traffic": {"agent_port": 0},
        }
        async with running_daemon(parse_settings(data, tmp_path, {})) as daemon:

            async def answers(name: str, begin: str) -> bool:
                return (await agent_says(daemon, name)).startswith(begin)

            await wait_for(lambda: answers("warm", "up ready\n"))
            await wait_for(lambda: answers("stalled", "down #warming: prompt_accepted\n"))
            status, body = await route(daemon, "?workflow=cache_models")
            assert (status, body["server"], body["url"]) == (200, "warm", warm.url)
            assert (await route(daemon, "?group=lab"))[0] == 503
            await daemon.fleet.act("warm", Action.PAUSE)
            await wait_for(lambda: answers("warm", "drain\n"))
            assert (await route(daemon))[0] == 503
            await daemon.fleet.act("warm", Action.RESUME)
            await wait_for(lambda: answers("warm", "up ready\n"))
