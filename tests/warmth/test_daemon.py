"""A whole daemon over a simulated server: its figures survive a restart."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PERSONAS, running_fleet
from tests.cli.rig import PATIENCE_S
from tests.support.paths import WORKFLOWS

Json = dict[str, Any]
HOUR = 3_600.0


@asynccontextmanager
async def daemon(folder: Path, urls: list[str], later_s: float) -> AsyncIterator[Callable[[str], Any]]:
    """Run a daemon whose wall clock is `later_s` ahead; yield a function that gets a path as JSON."""
    data = {
        "servers": urls,
        "workflows_dir": str(WORKFLOWS),
        "listen": {"port": 0},
        "logging": {"file": None},
    }
    settings = parse_settings(data, folder, {})
    async with (
        running_daemon(settings, now=lambda: time.time() + later_s) as running,
        aiohttp.ClientSession(running.address) as session,
    ):

        async def get(path: str) -> Json:
            async with session.get(path) as response:
                answer: Json = await response.json()
                return answer

        yield get


async def until_warm(get: Callable[[str], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await get("/api/status"))["states"] != {"loaded": 1}:  # noqa: ASYNC110 - a bounded poll
            await asyncio.sleep(0.02)


async def test_daemon_restart_keeps_figures(tmp_path: Path) -> None:
    async with running_fleet([PERSONAS["cold"]], scale=0.02) as fleet:
        async with daemon(tmp_path, fleet.urls, 0.0) as get:
            await until_warm(get)
        async with daemon(tmp_path, fleet.urls, 5 * HOUR) as get:
            await until_warm(get)
            body = await get(f"/api/stats?server={fleet.urls[0].removeprefix('http://')}")
    figures = body["fleet"]["24h"]
    assert (figures["attempts"], figures["time_to_warm_s"]["count"]) == (1, 1)
    assert body["fleet"]["1h"]["attempts"] == 0
    known = [point["warm_share"] is not None for point in body["trend"]["server"]]
    assert known[-6] or known[-5]
    assert not any(known[-4:-2])
