"""The service over real servers with the companion node: what it hears, and how soon."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.client import Graph
from tests.comfyui.daemon import Watcher, watched
from tests.comfyui.rig import RealServer, Rig, cache_workflow
from tests.comfyui.test_node import listening

LOADED = State.LOADED.value
EVICTIONS = 50
TAG_LIMIT = 50
FLOW = cache_workflow("a", "b", seconds=0.3)


class Timeline:
    """The transitions that the daemon publishes, as they are published."""

    def __init__(self, stream: aiohttp.ClientResponse) -> None:
        self._stream = stream

    async def until(self, *states: str) -> float:
        """Wait for a transition into one of the states; when it was heard, on the clock of the machine."""
        async with asyncio.timeout(10):
            async for line in self._stream.content:
                event = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                if event.get("event") == "transition" and event["to"] in states:
                    return time.monotonic()
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def timeline(watcher: Watcher) -> AsyncIterator[Timeline]:
    async with aiohttp.ClientSession() as session, session.get(f"{watcher.address}/api/events") as stream:
        yield Timeline(stream)


async def lose(server: RealServer, how: int) -> float:
    """Lose keys in one of three ways; no earlier than when."""
    if how == 0:
        return float((await server.post("/rig/drop", {"keys": ["a"]}))["at"])
    if how == 1:
        return float((await server.post("/rig/drop", {"keys": ["*"]}))["at"])
    begun = time.monotonic()
    await server.get("/inspire/cache/clear")
    return begun


async def test_an_eviction_is_published_within_a_tenth_of_a_second(rig: Rig, tmp_path: Path) -> None:
    server = rig.server(node=True, workflow=FLOW, preload=["a", "b"])
    await server.start()
    delays = []
    async with watched(tmp_path, [server], {"flow": FLOW}) as watcher:
        await watcher.until(server, LOADED)
        await watcher.until_true(server, lambda detail: detail["link"]["connected"])
        assert (await watcher.server(server))["check"]["kind"] == "node"
        async with timeline(watcher) as heard:
            for index in range(EVICTIONS):
                await asyncio.sleep(index * 0.007 % 0.02)
                at = await lose(server, index % 3)
                delays.append(await heard.until(State.UNKNOWN.value, State.COLD.value) - at)
                await server.post("/rig/put", {"keys": ["a", "b"]})
                await watcher.until(server, LOADED)
        reasons = {reason for _, reason in await watcher.path_of(server)}
    print(f"from an eviction to its publication, {EVICTIONS} evictions: median {median(delays) * 1000:.0f} ms, "
          f"longest {max(delays) * 1000:.0f} ms")  # fmt: skip
    assert median(delays) < 0.1
    assert Reason.CACHE_CHANGED in reasons


async def test_another_workflow_evicts_and_is_told_by_the_server_itself(rig: Rig, tmp_path: Path) -> None:
    """Inspire-Pack keeps fifty entries under a tag, so a user's fifty under ours push the warm-up's out.

    The job ends within milliseconds of that, and its end is told too: whichever is heard first, a check follows.
    """
    server = rig.server(node=True, workflow=FLOW)
    await server.start()
    async with watched(tmp_path, [server], {"flow": FLOW}) as watcher:
        await watcher.until(server, LOADED)
        async with timeline(watcher) as heard, listening(server, "somebody") as ear:
            await server.submit(many_keys(TAG_LIMIT))
            while "a" in (await ear.next())["present"]:
                pass
            told = ear.frames[-1][0]
            delay = await heard.until(State.UNKNOWN.value, State.COLD.value) - told
        await watcher.until_true(server, lambda detail: len(detail["attempts"]) > 1)
        await watcher.until(server, LOADED, timeout_s=40)
    print(f"from the server's own frame to the daemon's publication: {delay * 1000:.0f} ms")
    assert delay < 0.1


async def test_what_is_unloaded_is_still_cached(rig: Rig, tmp_path: Path) -> None:
    """POST /free takes models out of the processor's memory and leaves the keys: the server stays loaded."""
    server = rig.server(node=True, workflow=FLOW)
    await server.start()
    async with watched(tmp_path, [server], {"flow": FLOW}) as watcher:
        loaded = await watcher.until(server, LOADED)
        await server.post("/free", {"unload_models": True, "free_memory": True})
        await server.submit(cache_workflow("c", seconds=0.1))
        await server.idle()
        detail = await watcher.until_true(server, lambda detail: detail["since"] > loaded["since"])
        assert (await watcher.until(server, LOADED))["missing"] == []
        assert len(detail["attempts"]) == 1


def many_keys(count: int) -> Graph:
    """A user's workflow that caches one model under many keys, and our tag."""
    graph = cache_workflow("u", seconds=0.1)
    for index in range(1, count):
        graph[f"{100 + index}"] = {**graph["20"], "inputs": {**graph["20"]["inputs"], "key": f"u{index}"}}
    return graph


async def test_the_instance_settles_what_a_restart_took_without_the_grace_period(rig: Rig, tmp_path: Path) -> None:
    flow = cache_workflow("a", "b", seconds=2.0)
    server = rig.server(node=True, workflow=flow)
    await server.start()
    timing = {"check_interval_s": 2, "retry_s": 0.5, "lost_grace_s": 120, "link_backoff_max_s": 2}
    async with watched(tmp_path, [server], {"flow": flow}, timing=timing) as watcher:
        await watcher.until(server, State.WARMING.value)
        await server.kill()
        await server.start()
        detail = await watcher.until(server, LOADED, timeout_s=40)
        assert [one["outcome"] for one in detail["attempts"]] == ["succeeded", "lost"]
        assert (State.UNKNOWN.value, Reason.SERVER_RESTARTED) in await watcher.path_of(server)
