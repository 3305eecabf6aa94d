"""Servers that were started with arguments that change what stays loaded: the verdict, and what `doctor` says."""

import os
from pathlib import Path

import aiohttp
import pytest

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import SHORT_TIMING, doctor, running_over, warm_ups_in
from tests.comfyui.install import expected
from tests.comfyui.keyless import cached_nodes, is_checked_again, without_cache_nodes
from tests.comfyui.rig import CheckMode, Graph, RealServer, Rig, cache_workflow

LOADED, FAILED = State.LOADED.value, State.FAILED.value
KEYS = cache_workflow("a", seconds=0.1)


def server_with(rig: Rig, *arguments: str, node: bool = False, plugins: bool = False) -> RealServer:
    """Return a server that is checked by its companion node, by Inspire's list, or else by its history."""
    for argument in arguments:
        if argument.startswith("--") and expected().complete and not expected().knows(argument):
            pytest.skip(f"ComfyUI {expected().version} has no {argument}")
    return rig.server(check_mode=CheckMode.NONE, inspire=plugins, node=node, workflow=KEYS, arguments=arguments)


@pytest.mark.parametrize("arguments", [("--cache-none",), ("--cache-ram", "1000")])
async def test_server_that_keeps_nothing_gets_no_warm_up(rig: Rig, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    server = server_with(rig, *arguments)
    await server.start()
    flows = {"plain": without_cache_nodes("a")}
    async with running_over(tmp_path, [server], flows) as daemon:
        detail = await daemon.wait_state(server, FAILED)
        assert detail["reason"] == Reason.CACHE_DISABLED
        assert "--cache-none, or --cache-ram with more than its memory" in detail["message"]
    assert await server.history() == {}
    code, text = await doctor(tmp_path, server, flows)
    assert code == 1
    assert f"! {' '.join(arguments)}" in text
    assert "so plain cannot stay loaded" in text
    await server.run(flows["plain"])
    assert await cached_nodes(server, flows["plain"]) == []


async def test_server_short_of_memory_gets_one_warm_up(rig: Rig, tmp_path: Path) -> None:
    """Its threshold is nearly all memory, so it drops the results of the running prompt."""
    limit = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30 - 0.2:.1f}"
    server = server_with(rig, "--cache-ram", limit)
    await server.start()
    flows = {"plain": without_cache_nodes("a")}
    timing = {**SHORT_TIMING, "failed_retry_s": 0.5}
    async with running_over(tmp_path, [server], flows, timing=timing) as daemon:
        detail = await daemon.wait_until(
            server, lambda detail: detail["counters"].get("to_failed", 0) >= 3 and detail["state"] == "failed"
        )
        assert detail["reason"] == Reason.CACHE_DISABLED
        assert f"less than {limit} GiB of the server's memory are free" in detail["message"]
    assert len(warm_ups_in(await server.history())) == 1
    assert await cached_nodes(server, flows["plain"]) == []


async def test_server_that_keeps_one_result_holds_one_workflow(rig: Rig, tmp_path: Path) -> None:
    """It keeps all results of its last prompt, however many they are."""
    server = server_with(rig, "--cache-lru", "1")
    await server.start()
    one, two = without_cache_nodes("a"), without_cache_nodes("b")
    async with running_over(tmp_path, [server], {"one": one}) as daemon:
        checks = (await daemon.wait_state(server, LOADED))["counters"]["checks"]
        await daemon.wait_until(server, lambda detail: is_checked_again(checks, detail))
    assert len(warm_ups_in(await server.history())) == 1
    assert sorted(await cached_nodes(server, one)) == sorted(one)
    async with running_over(tmp_path, [server], {"one": one, "two": two}) as daemon:
        detail = await daemon.wait_state(server, FAILED)
        assert detail["reason"] == Reason.CACHE_TOO_SMALL
        assert "cache (lru) does not hold one, two together" in detail["message"]
    code, text = await doctor(tmp_path, server, {"one": one, "two": two})
    assert code == 1
    assert "! --cache-lru 1: the server keeps the newest 1 results" in text
    assert "--cache-lru 4 or more" in text


async def test_server_without_smart_memory_and_with_users_is_loaded(rig: Rig, tmp_path: Path) -> None:
    """A prompt of one of its users is noticed as anyone's."""
    server = server_with(rig, "--disable-smart-memory", "--multi-user", node=True)
    await server.start()
    flows = {"keys": KEYS, "plain": without_cache_nodes("b")}
    async with running_over(tmp_path, [server], flows) as daemon:
        await daemon.wait_state(server, LOADED)
        warmed = len(warm_ups_in(await server.history()))
        await submit_as_user(server, cache_workflow("other"))
        await daemon.wait_until(server, lambda detail: detail["counters"]["submissions"] > warmed)
        detail = await daemon.wait_state(server, LOADED)
        assert detail["check"]["kind"] == "node"
        newest = detail["attempts"][0]
        assert (newest["workflow"], newest["outcome"]) == ("plain", "succeeded")
    code, text = await doctor(tmp_path, server, flows)
    assert code == 0
    assert "! --disable-smart-memory: models leave the VRAM after each prompt" in text
    assert "✓ --multi-user: files and settings are kept per user" in text


async def submit_as_user(server: RealServer, graph: Graph) -> None:
    """Create a user and run a prompt in this user's name."""
    async with aiohttp.ClientSession(server.url) as session:
        async with session.post("/users", json={"username": "ann"}) as response:
            user = str(await response.json())
        async with session.post("/prompt", json={"prompt": graph}, headers={"comfy-user": user}) as response:
            assert response.status == 200, await response.text()
    await server.wait_idle()
