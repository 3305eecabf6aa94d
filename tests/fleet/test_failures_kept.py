"""Failures in a row are kept over a restart of the daemon."""

from dataclasses import replace
from pathlib import Path

from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import daemon

DYING = replace(PROFILES["dying"], load_seconds=0.2, down_seconds=0.1)
TIMING = {"retry_s": 0.1, "failed_retry_s": 600, "link_backoff_max_s": 0.5, "lost_grace_s": 0.5, "http_timeout_s": 2}


async def test_deaths_under_warm_ups_count_over_restarts_of_the_daemon(tmp_path: Path) -> None:
    """Each daemon sees one death at most, and is stopped as soon as it has counted it."""
    async with running_fleet([DYING]) as fleet:
        (server,) = fleet.servers
        seen = 0
        for _ in range(2):
            async with daemon(tmp_path, fleet.urls, timing=TIMING) as recorder:
                await recorder.reached("warming", seen)
                await recorder.reached("cold", recorder.length)
                seen = recorder.length
        async with daemon(tmp_path, fleet.urls, timing=TIMING) as recorder:
            _, failed = await recorder.reached("failed")
        assert failed["reason"] == "warm_up_ends_server"
        assert len(server.log) == 3
