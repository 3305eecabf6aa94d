"""A real ComfyUI behaves as the recordings of its version, with which `tests/simulator` compares the simulator."""

import pytest

from statemachine.simulator.nodes import CACHE_KEYS
from tests.comfyui.install import expected
from tests.comfyui.rig import CheckMode, RealServer, Rig, cache_workflow
from tests.scenarios import WITH_COMPANION, play, play_all, play_edge_cases
from tests.transcript import VERSIONS, Line, differences

VERSION = expected().version if expected().complete else VERSIONS[0]
pytestmark = pytest.mark.skipif(VERSION not in VERSIONS, reason=f"ComfyUI {VERSION} is not recorded")

HASH_SEEDS = [2, 7]
"""These two seeds give both orders of independent branches and of missing inputs; see RealServer."""


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
async def test_server_recorded_scenarios_match_recording(rig: Rig, hash_seed: int) -> None:
    server = await started(rig, hash_seed)
    assert not different(await play_all(server.url))


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
async def test_server_edge_scenarios_match_recording(rig: Rig, hash_seed: int) -> None:
    server = await started(rig, hash_seed)
    assert not different(await play_edge_cases(server.url))


@pytest.mark.parametrize("name", WITH_COMPANION)
async def test_server_with_companion_node_matches_recording(rig: Rig, name: str) -> None:
    server = await started(rig, HASH_SEEDS[0], node=True)
    assert not different({name: await play(name, server.url)})


async def started(rig: Rig, hash_seed: int, *, node: bool = False) -> RealServer:
    flow = cache_workflow(*CACHE_KEYS)
    server = rig.server(check_mode=CheckMode.NONE, hash_seed=hash_seed, node=node, workflow=flow)
    await server.start()
    return server


def different(played: dict[str, list[Line]]) -> dict[str, list[str]]:
    """Return the scenarios that differ from the recording, with the differences."""
    found = {name: differences(name, lines, VERSION) for name, lines in played.items()}
    return {name: lines for name, lines in found.items() if lines}
