"""A whole daemon over a simulated server: its figures survive a restart."""

import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from statemachine.simulator import PROFILES, running_fleet
from tests.support.daemon import DaemonClient, daemon_in_process

HOUR = 3_600.0


def daemon(folder: Path, urls: list[str], later_s: float) -> AbstractAsyncContextManager[DaemonClient]:
    """Run a daemon whose wall clock is `later_s` ahead."""
    return daemon_in_process(folder, {"servers": urls}, now=lambda: time.time() + later_s)


async def test_daemon_restart_keeps_figures(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["cold"]], scale=0.02) as fleet:
        async with daemon(tmp_path, fleet.urls, 0.0) as client:
            await client.wait_for_states({"loaded": 1})
        async with daemon(tmp_path, fleet.urls, 5 * HOUR) as client:
            await client.wait_for_states({"loaded": 1})
            body = await client.get(f"/api/stats?server={fleet.urls[0].removeprefix('http://')}")
    figures = body["fleet"]["24h"]
    assert (figures["attempts"], figures["time_to_warm_s"]["count"]) == (1, 1)
    assert body["fleet"]["1h"]["attempts"] == 0
    known = [point["warm_share"] is not None for point in body["trend"]["server"]]
    assert known[-6] or known[-5]
    assert not any(known[-4:-2])
