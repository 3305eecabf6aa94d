"""A real ComfyUI, the simulator and the recorded transcripts say the same: what the simulator's word is worth.

`tests/simulator` holds the simulator against the transcripts. Here the transcripts are held against a ComfyUI that
runs now, and the two servers against each other, also in scenarios that nobody recorded.
"""

import asyncio
import difflib
import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar

import aiohttp
import pytest

from statemachine.simulator import PERSONAS, running_fleet
from statemachine.simulator.nodes import MISSION_KEYS
from tests.comfyui.rig import Manner, Rig, cache_workflow
from tests.comfyui.unrecorded import INTERRUPTED, UNRECORDED
from tests.scenarios import PATIENCE_S, WITH_COMPANION, Stage, play, play_all
from tests.transcript import Line, differences, normalise

HASH_SEEDS = [2, 7]
"""Between them both orders of independent branches, and of inputs that are missing: see RealServer."""

Played = TypeVar("Played")


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
async def test_recorded_scenarios(rig: Rig, hash_seed: int) -> None:
    """As recorded, on both: so the three are equal."""
    for played in await on_both(rig, hash_seed, play_all):
        assert {name: differences(name, lines) for name, lines in played.items()} == {name: [] for name in played}


@pytest.mark.parametrize("name", WITH_COMPANION)
async def test_recorded_scenarios_of_the_companion_node(rig: Rig, name: str) -> None:
    for played in await on_both(rig, HASH_SEEDS[0], partial(play, name), node=True):
        assert not differences(name, played)


@pytest.mark.parametrize("name", UNRECORDED)
async def test_unrecorded_scenarios(rig: Rig, name: str) -> None:
    real, simulated = await on_both(rig, 0, partial(play_unrecorded, name))
    wanted, found = comparable(name, real), comparable(name, simulated)
    assert wanted == found, "\n".join(difflib.unified_diff(wanted, found, "real", "simulated", lineterm="", n=0))


async def on_both(
    rig: Rig, hash_seed: int, play_on: Callable[[str], Awaitable[Played]], *, node: bool = False
) -> tuple[Played, Played]:
    """Let `play_on` have a fresh real server and a fresh simulated one; what it gives for each, in this order."""
    server = rig.server(manner=Manner.NONE, hash_seed=hash_seed, node=node, workflow=cache_workflow(*MISSION_KEYS))
    await server.start()
    async with running_fleet([PERSONAS["node" if node else "cold"]]) as fleet:
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
    """As text, without the lengths of answers with a traceback in them."""
    kept = [
        {key: value for key, value in line.items() if key != "length" or "traceback" not in json.dumps(line)}
        for line in normalise(lines, progress_steps=name not in INTERRUPTED)
    ]
    return [json.dumps(line, sort_keys=True, ensure_ascii=False) for line in kept]
