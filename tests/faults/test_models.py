"""Faults of a server's models: loaded by others, lost, and prompts that cannot load them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from statemachine.simulator import PROFILES
from statemachine.simulator.nodes import cache_workflow
from tests.faults.harness import faulty
from tests.faults.proxy import FaultProxy
from tests.faults.table import Row


async def test_keys_loading_for_a_user_are_awaited(tmp_path: Path, expected: Row) -> None:
    """The daemon waits for a user's workflow that sets the same keys."""

    def queued(proxy: FaultProxy) -> None:
        proxy.server.stall()
        proxy.queue_foreign(cache_workflow())

    async with faulty(tmp_path, timing={"busy_wait_s": 0}, prepare=queued) as (harness, proxy):
        await harness.until_read(expected)
        proxy.server.resume()
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_auto_executing_is_awaited(tmp_path: Path, expected: Row) -> None:
    """The check has a side effect, so it is requested once and not while the queue is busy."""
    async with faulty(tmp_path, "auto_executing", scale=0.1) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert proxy.posts == []
        assert proxy.server.own_workflows == 1


async def test_auto_executing_without_effect_is_checked_less_often(tmp_path: Path, expected: Row) -> None:
    """The server's own workflow sets no keys, so its start is requested less and less often."""
    async with faulty(tmp_path, "auto_executing", timing={"check_interval_s": 2}, prepare=drop_all_keys) as (
        harness,
        proxy,
    ):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.server.own_workflows >= 5)
        assert proxy.posts == []


def drop_all_keys(proxy: FaultProxy) -> None:
    """Let the server lose every key immediately."""
    proxy.server.process.keys = EmptyCache()


class EmptyCache(dict[str, str]):
    """A cache that keeps no key."""

    @override
    def __setitem__(self, key: str, value: str) -> None:
        pass


PROFILE_FAULTS = {
    "node-raises": ("raising", 1),
    "out-of-memory": ("out_of_memory", 1),
    "missing-nodes": ("missing_nodes", 0),
    "missing-models": ("missing_models", 0),
    "locked": ("locked", 0),
}


@pytest.mark.parametrize(("profile", "posts"), PROFILE_FAULTS.values(), ids=PROFILE_FAULTS)
async def test_prompt_failure_is_diagnosed(tmp_path: Path, expected: Row, profile: str, posts: int) -> None:
    async with faulty(tmp_path, profile) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == posts


async def test_keys_missing_with_cached_nodes_are_restored(tmp_path: Path, expected: Row) -> None:
    """The keys are lost while the executor still has the nodes cached."""

    def cached_by_executor(proxy: FaultProxy) -> None:
        proxy.server.drop_keys(keep_executor=True)

    async with faulty(tmp_path, "loaded", prepare=cached_by_executor) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2


async def test_keys_that_never_stay_end_as_failed(tmp_path: Path, expected: Row) -> None:
    """Each prompt succeeds without its keys; the daemon stops after three."""
    async with faulty(tmp_path, prepare=drop_all_keys) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("failed")
        assert len(proxy.posts) == 3


async def test_keys_evicted_by_users_are_restored(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "loaded", timing={"check_interval_s": 8}) as (harness, proxy):
        # The job must end before the interval check finds the models gone: 8 s for 0.3 s, on any machine.
        await harness.until(lambda detail: detail["state"] == "loaded" and detail["link"]["connected"])
        proxy.server.start_foreign_job(0.3)
        proxy.server.drop_keys(keep_executor=False)
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.ended)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_models_evicted_soon_after_loading_are_contested(tmp_path: Path, expected: Row) -> None:
    """Users' jobs keep evicting the models; the server is loaded again in between, and never failed."""
    async with faulty(tmp_path, "evicting", scale=0.05) as (harness, proxy):
        await harness.until_read(expected)
        contested = len(proxy.posts)
        detail = await harness.until(lambda detail: detail["state"] == "loaded" and len(proxy.posts) > contested)
        assert "to_failed" not in detail["counters"]


async def test_workflows_that_displace_one_another_run_once(tmp_path: Path, expected: Row) -> None:
    """Neither checks nor retries run them in turn; after a user's prompt each runs once more."""
    for color, name in enumerate(("first", "second")):
        (tmp_path / f"{name}.json").write_text(json.dumps(plain_workflow(color)), encoding="utf-8")
    plain: dict[str, Any] = {"workflows_dir": str(tmp_path), "workflows": ["first", "second"]}
    kind, timing = {"kind": "auto"}, {"failed_retry_s": 0.5}
    async with faulty(tmp_path, "stock", cache_check=kind, timing=timing, **plain) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= 2)
        assert len(proxy.posts) == 2
        proxy.queue_foreign(plain_workflow(color=9))
        await harness.until(lambda _: len(proxy.posts) == 4)
        failed = (await harness.detail("faulty"))["counters"]["to_failed"]
        await harness.until(lambda detail: detail["counters"]["to_failed"] >= failed + 2)
        assert len(proxy.posts) == 4


def plain_workflow(color: int) -> dict[str, Any]:
    """Return a workflow without cache nodes."""
    image = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}}
    return {"1": image, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}


WITH_NODE = replace(PROFILES["node"], loaded=True, load_seconds=0.0)
WARM_VRAM: dict[str, Any] = {
    "workflows": [{"name": "cache_models", "warm": "vram"}],
    "cache_check": {"kind": "auto"},
}


async def test_models_out_of_memory_are_loaded_again(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, WITH_NODE, prepare=models_out_of_memory, **WARM_VRAM) as (harness, proxy):
        await harness.until_read(expected)
        detail = await harness.until_state("loaded")
        assert (detail["level"], len(proxy.posts)) == ("vram", 1)


async def test_models_that_leave_memory_soon_are_contested(tmp_path: Path, expected: Row) -> None:
    """The models are moved out after every warm-up; the server is loaded in between, and never failed."""
    unloading = replace(WITH_NODE, unload_every=30.0)
    async with faulty(tmp_path, unloading, **WARM_VRAM) as (harness, proxy):
        await harness.until_read(expected)
        contested = len(proxy.posts)
        detail = await harness.until(lambda detail: detail["state"] == "loaded" and len(proxy.posts) > contested)
        assert "to_failed" not in detail["counters"]


async def test_memory_too_small_for_level_ends_as_failed(tmp_path: Path, expected: Row) -> None:
    small = replace(WITH_NODE, small_memory=True)
    async with faulty(tmp_path, small, **WARM_VRAM) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert (detail["level"], len(proxy.posts)) == ("ram", 2)


HOSTILE_LEVELS: dict[str, object] = {"text": "vram", "list": [["ben2_base", "vram"]], "number": 2**63}


@pytest.mark.parametrize("levels", HOSTILE_LEVELS.values(), ids=HOSTILE_LEVELS)
async def test_levels_not_understood_decide_nothing(tmp_path: Path, expected: Row, levels: object) -> None:
    def report_oddly(proxy: FaultProxy) -> None:
        node = proxy.server.process.companion
        assert node is not None
        vars(node)["_levels_of"] = lambda _keys: levels

    async with faulty(tmp_path, WITH_NODE, prepare=report_oddly, **WARM_VRAM) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert (detail["level"], detail["levels"], proxy.posts) == (None, None, [])


def models_out_of_memory(proxy: FaultProxy) -> None:
    proxy.server.unload_models()
