"""The daemon over real servers with the companion node: how soon it publishes changes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
import pytest

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.client import Graph
from tests.comfyui.companion import FLOW, listening
from tests.comfyui.daemon import RealServersClient, running_over
from tests.comfyui.rig import RealServer, Rig, cache_workflow

LOADED = State.LOADED.value
EVICTION_COUNT = 10
"""Fewer than the checks that such changes may cause at once (`CHANGES` in statemachine/fleet/checking.py)."""
TAG_LIMIT = 50
TRANSITION_TIMEOUT_S = 10.0


class TransitionStream:
    """The transitions that the daemon publishes on /api/events."""

    def __init__(self, stream: aiohttp.ClientResponse) -> None:
        self._stream = stream

    async def wait_for(self, *states: str) -> float:
        """Wait for a transition into one of the states; return the monotonic time of its arrival."""
        async with asyncio.timeout(TRANSITION_TIMEOUT_S):
            async for line in self._stream.content:
                event = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                if event.get("event") == "transition" and event["to"] in states:
                    return time.monotonic()
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def transitions_of(daemon: RealServersClient) -> AsyncIterator[TransitionStream]:
    async with aiohttp.ClientSession() as session, session.get(f"{daemon.address}/api/events") as stream:
        yield TransitionStream(stream)


async def evict(server: RealServer, method: int) -> float:
    """Evict keys in one of three ways; return a monotonic time that is not later than the eviction."""
    if method == 0:
        return float((await server.post("/rig/drop", {"keys": ["a"]}))["at"])
    if method == 1:
        return float((await server.post("/rig/drop", {"keys": ["*"]}))["at"])
    started = time.monotonic()
    await server.get("/inspire/cache/clear")
    return started


@pytest.mark.alone
async def test_daemon_eviction_is_published_within_100_ms(rig: Rig, tmp_path: Path) -> None:
    server = rig.server(node=True, workflow=FLOW, preload=["a", "b"])
    await server.start()
    delays = []
    async with running_over(tmp_path, [server], {"flow": FLOW}) as daemon:
        await daemon.wait_state(server, LOADED)
        await daemon.wait_until(server, lambda detail: detail["link"]["connected"])
        assert (await daemon.server(server))["check"]["kind"] == "node"
        async with transitions_of(daemon) as transitions:
            for index in range(EVICTION_COUNT):
                await asyncio.sleep(index * 0.007 % 0.02)
                at = await evict(server, index % 3)
                delays.append(await transitions.wait_for(State.UNKNOWN.value, State.COLD.value) - at)
                await server.post("/rig/put", {"keys": ["a", "b"]})
                await daemon.wait_state(server, LOADED)
        reasons = {reason for _, reason in await daemon.path_of(server)}
    print(f"from an eviction to its publication, {EVICTION_COUNT} evictions: median {median(delays) * 1000:.0f} ms, "
          f"maximum {max(delays) * 1000:.0f} ms")  # fmt: skip
    assert median(delays) < 0.1
    assert Reason.CACHE_CHANGED in reasons


@pytest.mark.alone
async def test_daemon_eviction_by_other_prompt_is_published_at_once(rig: Rig, tmp_path: Path) -> None:
    """The server keeps 50 entries per tag, so 50 keys of a user under the same tag evict comfywarm's.

    The end of the user's prompt also causes a check, so either event may be the first.
    """
    server = rig.server(node=True, workflow=FLOW)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": FLOW}) as daemon:
        await daemon.wait_state(server, LOADED)
        async with transitions_of(daemon) as transitions, listening(server, "other") as listener:
            await server.submit(many_keys(TAG_LIMIT))
            while "a" in (await listener.next())["present"]:
                pass
            received_at = listener.frames[-1][0]
            delay = await transitions.wait_for(State.UNKNOWN.value, State.COLD.value) - received_at
        await daemon.wait_until(server, lambda detail: len(detail["attempts"]) > 1)
        await daemon.wait_state(server, LOADED, timeout_s=40)
    print(f"from the server's own frame to the daemon's publication: {delay * 1000:.0f} ms")
    assert delay < 0.1


async def test_daemon_unloaded_models_stay_loaded(rig: Rig, tmp_path: Path) -> None:
    """POST /free unloads models but keeps the keys, so the server stays loaded."""
    server = rig.server(node=True, workflow=FLOW)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": FLOW}) as daemon:
        loaded = await daemon.wait_state(server, LOADED)
        await server.post("/free", {"unload_models": True, "free_memory": True})
        await server.submit(cache_workflow("c", seconds=0.1))
        await server.wait_idle()
        detail = await daemon.wait_until(server, lambda detail: detail["since"] > loaded["since"])
        assert (await daemon.wait_state(server, LOADED))["missing"] == []
        assert len(detail["attempts"]) == 1


def many_keys(count: int) -> Graph:
    """Return a user's workflow that caches one model under many keys with comfywarm's tag."""
    graph = cache_workflow("u", seconds=0.1)
    for index in range(1, count):
        graph[f"{100 + index}"] = {**graph["20"], "inputs": {**graph["20"]["inputs"], "key": f"u{index}"}}
    return graph


async def test_daemon_new_instance_ends_attempt_before_grace_period(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=2.0)
    server = rig.server(node=True, workflow=flow)
    await server.start()
    timing = {"check_interval_s": 2, "retry_s": 0.5, "lost_grace_s": 120, "link_backoff_max_s": 2}
    async with running_over(tmp_path, [server], {"flow": flow}, timing=timing) as daemon:
        await daemon.wait_state(server, State.WARMING.value)
        await server.kill()
        await server.start()
        detail = await daemon.wait_state(server, LOADED, timeout_s=40)
        assert [one["outcome"] for one in detail["attempts"]] == ["succeeded", "lost"]
        assert (State.UNKNOWN.value, Reason.SERVER_RESTARTED) in await daemon.path_of(server)
