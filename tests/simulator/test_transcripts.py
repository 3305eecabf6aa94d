"""Compare the simulator, speaking each version's dialect over real sockets, with transcripts of a real ComfyUI."""

import asyncio
import fcntl
import json
import os
import pickle
from dataclasses import replace
from typing import cast

import pytest
import pytest_asyncio

from statemachine.simulator import PROFILES, SimServer, running_fleet
from tests.scenarios import WITH_COMPANION, play, play_all, play_edge_cases
from tests.stage import Hold
from tests.transcript import NAMES, RECORDINGS, VERSIONS, Line, differences, normalise, recorded

SCALE = 0.25

Played = dict[tuple[str, str], list[Line]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Play every version once, although the tests may run in several processes."""
    folder = tmp_path_factory.getbasetemp()
    kept = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "played.pickle"
    with kept.with_suffix(".lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(await play_versions()))
        return cast("Played", pickle.loads(kept.read_bytes()))


async def play_versions() -> Played:
    scenes = await asyncio.gather(*map(play_version, VERSIONS))
    return {
        (version, name): lines for version, each in zip(VERSIONS, scenes, strict=True) for name, lines in each.items()
    }


async def play_version(version: str) -> dict[str, list[Line]]:
    """Play every scenario with servers that speak this version's dialect."""
    profiles = [replace(PROFILES[name], comfyui=version) for name in ("cold", "cold", "node")]
    async with running_fleet(profiles) as fleet:
        plain, edge, with_node = fleet.members
        scenes, edge_scenes = await asyncio.gather(
            play_all(plain.url, SCALE, holding(plain.server)), play_edge_cases(edge.url)
        )
        for name in WITH_COMPANION:
            scenes[name] = await play(name, with_node.url, SCALE, holding(with_node.server))
    return scenes | edge_scenes


def holding(server: SimServer) -> Hold:
    return lambda held: server.stall() if held else server.resume()


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
@pytest.mark.asyncio(loop_scope="module")
async def test_simulator_repeats_the_transcript(version: str, name: str, played: Played) -> None:
    assert not differences(name, played[version, name], version)


@pytest.mark.parametrize("name", NAMES)
def test_transcript_in_another_interleaving_has_no_differences(name: str) -> None:
    lines = recorded(name)
    assert not differences(name, sorted(lines, key=lambda line: str(line["conn"])))


@pytest.mark.parametrize("name", NAMES)
def test_transcript_without_one_frame_has_a_difference(name: str) -> None:
    lines = recorded(name)
    for index, line in enumerate(lines):
        if line.get("frame", {}).get("type") not in {"progress", "progress_state"}:
            assert differences(name, lines[:index] + lines[index + 1 :]), line


def test_transcript_with_swapped_branches_has_no_differences() -> None:
    name = "03_submitted_without_client_id"
    lines = recorded(name)
    swapped = json.dumps(lines)
    for old, new in (("10", "X0"), ("20", "Y0"), ("11", "10"), ("21", "20"), ("X0", "11"), ("Y0", "21")):
        swapped = swapped.replace(f'"{old}"', f'"{new}"')
    frames = [line for line in json.loads(swapped) if "frame" in line]
    others = [line for line in lines if "frame" not in line]
    assert not differences(name, others + frames)


def test_normalise_removes_ids_times_and_the_first_number() -> None:
    text = json.dumps(normalise(recorded("01_success_with_progress")))
    assert "984a08b2" not in text
    assert "1795453" not in text
    assert '"number": 0' in text
