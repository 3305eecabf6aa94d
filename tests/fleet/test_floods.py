"""One server floods /ws over a real socket: other servers and HTTP clients are served as before."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

import pytest
from typing_extensions import override

from statemachine.simulator import PROFILES, running_fleet
from tests.faults.harness import Memory
from tests.fleet.flooder import FLOODS, MIB, flooding
from tests.support.daemon import DaemonClient, daemon_in_process

OBSERVED_S = 0.5
MOST_LATER_S = 0.05
MOST_MEMORY = 64 * MIB
SAMPLE_S = 0.005
SECRET = {"Authorization": "Bearer of-a-long-secret"}
"""Texts are searched for it."""
FAST = ("texts", "empty-texts")
"""Kinds that are read with `fast_frames`; the others are read alike with and without."""


class Delays:
    """How late the event loop calls timers, and how long GET /healthz takes, in seconds."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.answers: list[float] = []

    @override
    def __str__(self) -> str:
        shown = (f"95% {1000 * late(one):.1f} ms, worst {1000 * max(one):.1f}" for one in (self.lags, self.answers))
        return "loop lag: {}; /healthz: {}".format(*shown)


def late(delays: list[float]) -> float:
    """Return what 95 % do not exceed: on a busy machine the worst says little."""
    return quantiles(delays, n=20, method="inclusive")[-1]


@asynccontextmanager
async def sampled(delays: Delays) -> AsyncIterator[None]:
    """Sample the lag of the event loop within the block."""

    async def sample() -> None:
        while True:
            due = time.monotonic() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            delays.lags.append(time.monotonic() - due)

    sampling = asyncio.create_task(sample())
    try:
        yield
    finally:
        sampling.cancel()


async def observed(client: DaemonClient) -> Delays:
    """Measure for a while; the honest server must be checked meanwhile."""
    delays, until = Delays(), time.monotonic() + OBSERVED_S
    checks = (await client.detail("honest"))["counters"]["checks"]
    async with sampled(delays):
        while time.monotonic() < until:
            asked = time.monotonic()
            await client.get("/healthz")
            delays.answers.append(time.monotonic() - asked)
            await asyncio.sleep(SAMPLE_S)
    assert (await client.detail("honest"))["counters"]["checks"] > checks
    return delays


@pytest.mark.ratios
@pytest.mark.parametrize("kind", FLOODS)
async def test_flood_on_ws_delays_nothing(tmp_path: Path, kind: str) -> None:
    with flooding(FLOODS[kind]) as flooder:
        async with running_fleet([PROFILES["loaded"]]) as fleet:
            servers = [
                {"url": flooder.url, "name": "flooder", "headers": SECRET},
                {"url": fleet.urls[0], "name": "honest"},
            ]
            timing = {"check_interval_s": 0.2}
            settings = {"servers": servers, "timing": timing, "fast_frames": kind in FAST}
            async with daemon_in_process(tmp_path, settings) as client:
                await client.wait_for_detail("flooder", lambda detail: detail["link"]["connected"])
                await client.wait_for_state("honest", "loaded")
                quiet = await observed(client)
                with Memory() as memory:
                    flooder.begin.set()
                    flooded = await observed(client)
                detail = await client.detail("flooder")
    print(f"quiet: {quiet}\nflood: {flooded}; memory +{memory.growth / MIB:.0f} MiB")
    assert detail["link"]["connects"] == 1, detail["link"]
    assert late(flooded.lags) < 2 * late(quiet.lags) + MOST_LATER_S
    assert late(flooded.answers) < 2 * late(quiet.answers) + MOST_LATER_S
    assert memory.growth < MOST_MEMORY


async def test_flood_on_ws_is_reported_once(tmp_path: Path) -> None:
    with flooding(FLOODS["texts"]) as flooder:
        async with daemon_in_process(tmp_path, {"servers": [{"url": flooder.url, "name": "flooder"}]}) as client:
            flooder.begin.set()
            detail = await client.wait_for_detail("flooder", lambda detail: detail["counters"].get("ws_flood"))
    assert detail["link"]["trouble_code"] == "ws_flood"
    assert detail["link"]["connected"]
