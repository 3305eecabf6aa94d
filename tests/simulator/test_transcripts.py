"""Compare the simulator over real sockets with transcripts of a real ComfyUI."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from statemachine.simulator import PROFILES, SimServer, running_fleet
from tests.scenarios import WITH_COMPANION, play, play_all
from tests.stage import Hold
from tests.transcript import NAMES, Line, differences, normalise, recorded

SCALE = 0.25


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> AsyncIterator[dict[str, list[Line]]]:
    async with running_fleet([PROFILES["cold"], PROFILES["node"]]) as fleet:
        without, with_node = fleet.members
        scenes = await play_all(without.url, SCALE, holding(without.server))
        for name in WITH_COMPANION:
            scenes[name] = await play(name, with_node.url, SCALE, holding(with_node.server))
        yield scenes


def holding(server: SimServer) -> Hold:
    return lambda held: server.stall() if held else server.resume()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio(loop_scope="module")
async def test_simulator_repeats_the_transcript(name: str, played: dict[str, list[Line]]) -> None:
    assert not differences(name, played[name])


@pytest.mark.parametrize("name", NAMES)
def test_transcript_in_another_interleaving_has_no_differences(name: str) -> None:
    assert not differences(name, sorted(recorded(name), key=lambda line: str(line["conn"])))


@pytest.mark.parametrize("name", NAMES)
def test_transcript_without_one_frame_has_a_difference(name: str) -> None:
    lines = recorded(name)
    for index, line in enumerate(lines):
        if line.get("frame", {}).get("type") not in {"progress", "progress_state"}:
            assert differences(name, lines[:index] + lines[index + 1 :]), line


def test_transcript_with_swapped_branches_has_no_differences() -> None:
    swapped = json.dumps(recorded("03_submitted_without_client_id"))
    for old, new in (("10", "X0"), ("20", "Y0"), ("11", "10"), ("21", "20"), ("X0", "11"), ("Y0", "21")):
        swapped = swapped.replace(f'"{old}"', f'"{new}"')
    frames = [line for line in json.loads(swapped) if "frame" in line]
    others = [line for line in recorded("03_submitted_without_client_id") if "frame" not in line]
    assert not differences("03_submitted_without_client_id", others + frames)


def test_normalise_removes_ids_times_and_the_first_number() -> None:
    text = json.dumps(normalise(recorded("01_success_with_progress")))
    assert "984a08b2" not in text
    assert "1795453" not in text
    assert '"number": 0' in text
