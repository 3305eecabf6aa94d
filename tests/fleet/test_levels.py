"""Servers whose models leave memory while their keys stay cached, over real sockets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from statemachine.simulator import PROFILES, SimServer, running_fleet
from statemachine.simulator.nodes import LOAD_NODE
from tests.fleet.event_recorder import EventRecorder, daemon
from tests.support.polling import wait_for, wait_until

WITH_NODE = replace(PROFILES["node"], loaded=True, load_seconds=0.0)
QUICK = {"retry_s": 0.05, "failed_retry_s": 600, "check_interval_s": 600}
WARM_VRAM = [{"name": "cache_models", "warm": "vram"}]


def load_nodes_in(server: SimServer) -> list[int]:
    """Return how many load nodes each warm-up had."""
    return [sum(node["class_type"] == LOAD_NODE for node in post.body["prompt"].values()) for post in server.log]


async def levels_of(recorder: EventRecorder, name: str) -> tuple[Any, set[str] | None]:
    detail = await recorder.detail(name)
    return detail["level"], None if detail["levels"] is None else set(detail["levels"].values())


async def test_models_below_wanted_level_are_warmed_again(tmp_path: Path) -> None:
    async with (
        running_fleet([WITH_NODE]) as fleet,
        daemon(tmp_path, fleet.urls, timing=QUICK, workflows=WARM_VRAM) as recorder,
    ):
        (server,), name = fleet.servers, fleet.members[0].name
        _, cold = await recorder.reached("cold")
        await recorder.reached("loaded")
        assert await levels_of(recorder, name) == ("vram", {"vram"})
        mark = recorder.length
        server.unload_models()
        _, changed = await recorder.reached("unknown", mark)
        _, again = await recorder.reached("cold", mark)
        await recorder.reached("loaded", mark)
        assert await levels_of(recorder, name) == ("vram", {"vram"})
    assert [one["reason"] for one in (cold, changed, again)] == ["models_unloaded", "cache_changed", "models_unloaded"]
    assert 'pulid_model are at level "key", below "vram"' in again["message"]
    assert load_nodes_in(server) == [4, 4]


async def test_models_out_of_memory_stay_loaded_where_key_is_enough(tmp_path: Path) -> None:
    async with running_fleet([WITH_NODE]) as fleet, daemon(tmp_path, fleet.urls, timing=QUICK) as recorder:
        (server,), name = fleet.servers, fleet.members[0].name
        await recorder.reached("loaded")
        assert await levels_of(recorder, name) == ("ram", {"ram"})
        await wait_until(lambda: server.sockets)
        server.unload_models()
        await wait_for(lambda: levels_of(recorder, name), lambda levels: levels == ("key", {"key"}))
        detail = await recorder.detail(name)
        assert (detail["state"], detail["missing"], len(server.log)) == ("loaded", [], 0)


async def test_memory_too_small_for_level_ends_as_failed(tmp_path: Path) -> None:
    small = replace(WITH_NODE, small_memory=True)
    async with (
        running_fleet([small]) as fleet,
        daemon(tmp_path, fleet.urls, timing=QUICK, workflows=WARM_VRAM) as recorder,
    ):
        _, failed = await recorder.reached("failed")
        assert failed["reason"] == "still_cold_after_success"
        assert "memory is probably too small" in failed["message"]
        assert load_nodes_in(fleet.servers[0]) == [4, 4]
        assert (await levels_of(recorder, fleet.members[0].name))[0] == "ram"


@pytest.mark.parametrize("profile", ["loaded", "inspire"])
async def test_level_is_not_observed_without_companion_node(tmp_path: Path, profile: str) -> None:
    known = replace(PROFILES[profile], loaded=True, load_seconds=0.0)
    async with (
        running_fleet([known]) as fleet,
        daemon(tmp_path, fleet.urls, timing=QUICK, workflows=WARM_VRAM) as recorder,
    ):
        _, loaded = await recorder.reached("loaded")
        assert "level not observed for pulid_eva_clip" in loaded["message"]
        assert await levels_of(recorder, fleet.members[0].name) == (None, None)
