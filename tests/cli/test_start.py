"""The first answer of a daemon."""

import asyncio
from pathlib import Path

import aiohttp

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from tests.support.paths import WORKFLOWS
from tests.support.ports import free_port

COUNT = 2_000


async def test_daemon_first_answer_has_the_whole_fleet(tmp_path: Path) -> None:
    """No server listens: port 9 is reserved for the discard service."""
    port = free_port()
    data = {
        "listen": {"port": port},
        "workflows_dir": str(WORKFLOWS),
        "servers": [f"http://127.1.{number // 200}.{number % 200 + 1}:9" for number in range(COUNT)],
        "logging": {"file": None},
    }
    first = asyncio.create_task(_first_total(f"http://127.0.0.1:{port}/api/status"))
    async with running_daemon(parse_settings(data, tmp_path, {})):
        assert await first == COUNT


async def _first_total(url: str) -> int:
    """Request the URL until it responds; return the number of servers in the first response."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            try:
                async with session.get(url) as answer:
                    return int((await answer.json())["total"])
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0)
