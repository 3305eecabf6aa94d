"""A real ComfyUI, the simulator and the recorded transcripts behave alike.

`tests/simulator` compares the simulator with the transcripts. These tests compare a real server with the transcripts,
and the two servers with each other, also in scenarios without a recording.
"""

import asyncio
import difflib
import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import aiohttp
import pytest

from statemachine.simulator import PROFILES, running_fleet
from statemachine.simulator.nodes import CACHE_KEYS
from tests.comfyui.install import VERSION, GivenInstallation, expected
from tests.comfyui.rig import CheckMode, Rig, cache_workflow
from tests.comfyui.unrecorded import INTERRUPTED, UNRECORDED
from tests.scenarios import PATIENCE_S, WITH_COMPANION, play, play_all
from tests.stage import Stage
from tests.transcript import Line, differences, normalise

pytestmark = pytest.mark.skipif(
    isinstance(expected(), GivenInstallation), reason=f"the recordings are of ComfyUI {VERSION}"
)

HASH_SEEDS = [2, 7]
"""These two seeds give both orders of independent branches and of missing inputs; see RealServer."""

Played = TypeVar("Played")


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
async def test_servers_recorded_scenarios_match_recording(rig: Rig, hash_seed: int) -> None:
    for played in await on_both(rig, hash_seed, play_all):
        assert {name: differences(name, lines) for name, lines in played.items()} == {name: [] for name in played}


@pytest.mark.parametrize("name", WITH_COMPANION)
async def test_servers_with_companion_node_match_recording(rig: Rig, name: str) -> None:
    for played in await on_both(rig, HASH_SEEDS[0], partial(play, name), node=True):
        assert not differences(name, played)


@pytest.mark.parametrize("name", UNRECORDED)
async def test_servers_unrecorded_scenario_match_each_other(rig: Rig, name: str) -> None:
    real, simulated = await on_both(rig, 0, partial(play_unrecorded, name))
    expected, found = comparable(name, real), comparable(name, simulated)
    assert expected == found, "\n".join(difflib.unified_diff(expected, found, "real", "simulated", lineterm="", n=0))


async def on_both(
    rig: Rig, hash_seed: int, play_on: Callable[[str], Awaitable[Played]], *, node: bool = False
) -> tuple[Played, Played]:
    """Call `play_on` with the URLs of a new real server and a new simulated one; return both results."""
    server = rig.server(check_mode=CheckMode.NONE, hash_seed=hash_seed, node=node, workflow=cache_workflow(*CACHE_KEYS))
    await server.start()
    async with running_fleet([PROFILES["node" if node else "cold"]]) as fleet:
        real, simulated = await asyncio.gather(play_on(server.url), play_on(fleet.urls[0]))
    return real, simulated


async def play_unrecorded(name: str, base_url: str) -> list[Line]:
    async with aiohttp.ClientSession(base_url) as session, asyncio.timeout(PATIENCE_S):
        stage = Stage(session, 1.0)
        try:
            await UNRECORDED[name](stage)
        finally:
            await stage.close()
    return stage.lines


def comparable(name: str, lines: Iterable[Line]) -> list[str]:
    """Return the normalised lines as JSON, without the length of answers that contain a traceback."""
    kept = [
        {key: value for key, value in line.items() if key != "length" or "traceback" not in json.dumps(line)}
        for line in normalise(lines, progress_steps=name not in INTERRUPTED)
    ]
    return [json.dumps(line, sort_keys=True, ensure_ascii=False) for line in kept]
