"""The check by history against real servers: users' prompts between warm-ups, and servers that keep little."""

from functools import partial
from pathlib import Path

import pytest

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import SHORT_TIMING, running_over, warm_ups_in
from tests.comfyui.install import expected
from tests.comfyui.keyless import cached_nodes, end, is_checked_again, without_cache_nodes
from tests.comfyui.rig import CheckMode, RealServer, Rig, cache_workflow
from tests.support.daemon import Json

LOADED = State.LOADED.value
CALM_CHECKS = 4
CACHE_NONE = "--cache-none"
USER_PROMPTS = 30
FIRST, SECOND = cache_workflow("a", seconds=0.1), cache_workflow("b", seconds=0.1)


def is_known(argument: str) -> bool:
    return expected().knows(argument)


def require(argument: str) -> None:
    """Skip the test if the version does not have the argument."""
    if not is_known(argument):
        pytest.skip(f"ComfyUI {expected().version} has no {argument}")


def stock_server(rig: Rig, *arguments: str) -> RealServer:
    return rig.server(check_mode=CheckMode.NONE, inspire=False, arguments=arguments)


def is_calmly_failed(detail: Json) -> bool:
    """Return whether the server is failed, for several checks already."""
    return bool(detail["state"] == State.FAILED.value and detail["counters"]["to_failed"] >= CALM_CHECKS)


def is_warm_again(warm_ups: int, detail: Json) -> bool:
    return bool(detail["state"] == LOADED and detail["counters"]["submissions"] >= warm_ups)


@pytest.mark.timeout(180)
async def test_history_thirty_user_prompts_cause_thirty_more_warm_ups(rig: Rig, tmp_path: Path) -> None:
    """Success is sent before history has it; a look that comes too early must not double a warm-up."""
    server = stock_server(rig)
    await server.start()
    timing = {**SHORT_TIMING, "retry_s": 0.1, "failed_retry_s": 0.5}
    async with running_over(tmp_path, [server], {"flow": FIRST}, timing=timing) as daemon:
        await daemon.wait_state(server, LOADED)
        for number in range(USER_PROMPTS):
            await server.submit(cache_workflow(f"user-{number}", seconds=0.02))
            await daemon.wait_until(server, partial(is_warm_again, number + 2))
        counters = (await daemon.server(server))["counters"]
        path = await daemon.path_of(server)
    history = await server.history()
    figures = {name: counters[name] for name in ("to_cold", "submissions", "to_loaded")}
    print(f"{USER_PROMPTS} user prompts on ComfyUI {expected().version}: {figures}")
    assert set(figures.values()) == {len(warm_ups_in(history))} == {USER_PROMPTS + 1}
    assert len(history) == 2 * USER_PROMPTS + 1
    assert Reason.STILL_COLD_AFTER_SUCCESS not in {reason for _, reason in path}


async def test_history_of_server_that_keeps_nothing_is_cache_disabled(rig: Rig, tmp_path: Path) -> None:
    require(CACHE_NONE)
    server = stock_server(rig, CACHE_NONE)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": FIRST}) as daemon:
        detail = await daemon.wait_state(server, State.FAILED.value)
        assert detail["reason"] == Reason.CACHE_DISABLED
        await server.submit(SECOND)
        await server.wait_idle()
        assert warm_ups_in(await server.history()) == []
        await server.kill()
        server.arguments = []
        await server.start()
        await daemon.wait_state(server, LOADED)
        assert len(warm_ups_in(await server.history())) == 1


async def test_keys_of_servers_that_keep_nothing_stay_loaded(rig: Rig, tmp_path: Path) -> None:
    require(CACHE_NONE)
    for node in (False, True):
        rig.server(check_mode=CheckMode.NONE, node=node, workflow=FIRST, arguments=[CACHE_NONE])
    await rig.start_all()
    async with running_over(tmp_path, rig.servers, {"flow": FIRST}) as daemon:
        for server, kind in zip(rig.servers, ("inspire", "node"), strict=True):
            await daemon.wait_state(server, LOADED)
            checks = (await daemon.server(server))["counters"]["checks"]
            await server.run(SECOND)
            detail = await daemon.wait_until(server, partial(is_checked_again, checks))
            assert (detail["state"], detail["check"]["kind"]) == (LOADED, kind)
            assert len(warm_ups_in(await server.history())) == 1
            assert "a" in await server.cached_keys()


KEPT_AFTER_SAME_AND_OTHER = {
    (): (True, False),
    ("--cache-classic",): (True, False),
    ("--cache-lru", "50"): (True, True),
    (CACHE_NONE,): (False, False),
}
"""Arguments → whether the executor has a workflow's results after that workflow, and after another one."""


async def test_executor_keeps_results_by_its_cache_mode(rig: Rig) -> None:
    """The facts behind the table in docs/comfyui.md."""
    kept = {flags: both for flags, both in KEPT_AFTER_SAME_AND_OTHER.items() if all(map(is_known, flags[:1]))}
    for arguments in kept:
        stock_server(rig, *arguments)
    found = {}
    for server in await rig.start_all():
        await server.run(FIRST)
        after_same = await cached_nodes(server, FIRST)
        await server.run(SECOND)
        found[tuple(server.arguments)] = (bool(after_same), bool(await cached_nodes(server, FIRST)))
    assert found == kept


async def test_history_workflows_that_displace_one_another_run_once(rig: Rig, tmp_path: Path) -> None:
    """The executor has dropped the first one's results, as the last run shows; nothing is run in turn."""
    server = stock_server(rig)
    await server.start()
    plain = {"first": without_cache_nodes("a"), "second": without_cache_nodes("b")}
    timing = {**SHORT_TIMING, "failed_retry_s": 0.5}
    async with running_over(tmp_path, [server], plain, timing=timing) as daemon:
        detail = await daemon.wait_until(server, is_calmly_failed)
        assert detail["reason"] == Reason.CACHE_TOO_SMALL
        assert "does not hold first, second together" in detail["message"]
        assert "--cache-lru 4 or more" in detail["message"]
        assert len(warm_ups_in(await server.history())) == 2
        assert LOADED not in {state for state, _ in await daemon.path_of(server)}
        assert await cached_nodes(server, plain["first"]) == []
        await server.kill()
        server.arguments = ["--cache-lru", "4"]
        await server.start()
        await daemon.wait_state(server, LOADED)
        assert len(warm_ups_in(await server.history())) == 2


async def test_history_workflow_with_the_nodes_of_others_keeps_them(rig: Rig, tmp_path: Path) -> None:
    server = stock_server(rig)
    await server.start()
    part = without_cache_nodes("a")
    whole = {**part, "11": without_cache_nodes("b")["10"], "31": end("11")}
    async with running_over(tmp_path, [server], {"part": part, "whole": whole}) as daemon:
        await daemon.wait_state(server, LOADED)
        assert len(warm_ups_in(await server.history())) == 1
        assert sorted(await cached_nodes(server, part)) == sorted(part)


async def test_history_workflows_kept_together_are_loaded_once(rig: Rig, tmp_path: Path) -> None:
    server = stock_server(rig, "--cache-lru", "50")
    await server.start()
    plain = {"first": without_cache_nodes("a"), "second": without_cache_nodes("b")}
    async with running_over(tmp_path, [server], plain) as daemon:
        await daemon.wait_state(server, LOADED)
        assert len(warm_ups_in(await server.history())) == 2
