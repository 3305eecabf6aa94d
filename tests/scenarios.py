"""The recorded scenarios, played against any server that speaks ComfyUI's protocol, real or simulated.

`play` returns lines in the recorded format; `tests/transcript.py` compares them with the recording. The server must
have the nodes `RigSlowModel` and `CacheBackendData //Inspire` and must be idle. Play the scenarios in order on one
fresh server: 02 posts the graph of 01 again, and 09 lists what 07 and 08 left in history.
"""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from tests.edge_scenarios import EDGE_SCENARIOS
from tests.stage import Hold, Stage, Watcher, cache_node, drop_node, keep_node, no_hold
from tests.transcript import Line

PATIENCE_S = 90.0
"""A bound for a frame that never comes. A scenario takes some seconds, and many times that on a busy machine."""
INTERRUPTED_MODEL_S = 6.0
"""Long enough that the interrupt arrives during the node's first steps even on a busy machine."""


async def play(scenario_name: str, base_url: str, scale: float = 1.0, hold: Hold = no_hold) -> list[Line]:
    """Play a scenario, named like its file ("01_success_with_progress"), and return its transcript.

    `scale` multiplies the seconds that models take to load. `hold` stops a server that can be held while requests
    are sent that must arrive while a model loads.
    """
    async with aiohttp.ClientSession(base_url) as session:
        stage = Stage(session, scale, hold)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await {**SCENARIOS, **WITH_COMPANION, **EDGE_SCENARIOS}[scenario_name](stage)
        except TimeoutError:
            raise AssertionError(f"{scenario_name} did not end; it recorded {stage.lines[-3:]}") from None
        finally:
            await stage.close()
        return stage.lines


async def play_all(base_url: str, scale: float = 1.0, hold: Hold = no_hold) -> dict[str, list[Line]]:
    """Play every scenario in order against one fresh server and return the transcripts by name."""
    return {name: await play(name, base_url, scale, hold) for name in SCENARIOS}


async def play_edge_cases(base_url: str) -> dict[str, list[Line]]:
    """Play the scenarios of `edge_scenarios.py` in order against one fresh server."""
    return {name: await play(name, base_url) for name in EDGE_SCENARIOS}


async def success_with_progress(stage: Stage) -> None:
    owner = await stage.open("owner", "own-1")
    observer = await stage.open("observer", "obs-1")
    stage.hold(True)
    prompt_id = await stage.submit(prompt=stage.graph("a", 0.4, models=2), client_id="own-1")
    await owner.until_node_runs(prompt_id)
    await stage.get("/queue")
    await stage.get(f"/history/{prompt_id}")
    stage.hold(False)
    await owner.until_over(prompt_id)
    await observer.until_idle_again()
    await stage.get(f"/history/{prompt_id}")


async def resubmitted_everything_cached(stage: Stage) -> None:
    owner = await stage.open("owner", "own-2")
    prompt_id = await stage.submit(
        prompt=stage.graph("a", 0.4, models=2),
        client_id="own-2",
        prompt_id="3f0c9b9e-51c0-4a34-9a25-6d2c7f4ab001",
    )
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")


async def submitted_without_client_id(stage: Stage) -> None:
    observer = await stage.open("observer", "obs-3")
    prompt_id = await stage.submit(prompt=stage.graph("c", 0.4, models=2))
    await observer.until_idle_again()
    await stage.get(f"/history/{prompt_id}")


async def node_raises(stage: Stage) -> None:
    owner = await stage.open("owner", "own-4")
    prompt_id = await stage.submit(prompt=stage.graph("explode", 0.4), client_id="own-4")
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")


async def interrupted(stage: Stage) -> None:
    owner = await stage.open("owner", "own-5")
    observer = await stage.open("observer", "obs-5")
    prompt_id = await stage.submit(prompt=stage.graph("e", INTERRUPTED_MODEL_S, models=2), client_id="own-5")
    await owner.until(lambda frame: frame["type"] == "progress")
    await stage.post("/interrupt", {"prompt_id": prompt_id})
    await owner.until_over(prompt_id)
    await observer.until_idle_again()
    await stage.get(f"/history/{prompt_id}")


async def pending_deleted(stage: Stage) -> None:
    owner = await stage.open("owner", "own-6")
    stage.hold(True)
    running = await stage.submit(prompt=stage.graph("f", 1.5), client_id="own-6")
    await owner.until_node_runs(running)
    pending = await stage.submit(prompt=stage.graph("g", 1.5), client_id="own-6")
    await stage.post("/queue", {"delete": [pending]})
    await stage.get(f"/history/{pending}")
    stage.hold(False)
    await owner.until_over(running)
    await stage.get(f"/history/{running}")
    await stage.get(f"/history/{pending}")


async def refused_and_misdirected(stage: Stage) -> None:
    owner = await stage.open("owner", "own-7")
    await stage.post("/api/queue", {"prompt": stage.graph("model", 0.4), "client_id": "own-7"})
    ui_format = {"last_node_id": 3, "nodes": [{"id": 1, "type": "RigSlowModel"}], "links": [], "version": 0.4}
    await stage.post("/prompt", {"prompt": {}})
    await stage.post("/prompt", {"nothing": 1})
    await stage.post("/prompt", "{not json")
    await stage.post("/prompt", "")
    await stage.post("/prompt", {"prompt": None})
    await stage.post("/prompt", {"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
    await stage.post("/prompt", {"prompt": {"1": {"inputs": {}}}})
    await stage.post("/prompt", {"prompt": {"20": cache_node(key="k")}})
    await stage.post("/prompt", {"prompt": ui_format})
    half_good = {**stage.graph("h", 0.1), "31": cache_node(key="x")}
    prompt_id = await stage.submit(prompt=half_good, client_id="own-7")
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")
    await owner.until_over(await stage.submit(prompt=stage.graph("i", 0.1), client_id="own-7", prompt_id=None))


async def second_socket_same_client_id(stage: Stage) -> None:
    first = await stage.open("first", "dup-8")
    second = await stage.open("second", "dup-8")
    await first.close()
    stage.note("note", text="first socket was closed after the second opened with the same clientId")
    prompt_id = await stage.submit(prompt=stage.graph("j", 0.3), client_id="dup-8")
    await stage.until_in_history(prompt_id)
    await second.fence()
    await stage.get(f"/history/{prompt_id}")


async def two_prompts_one_id(stage: Stage) -> None:
    owner = await stage.open("owner", "own-9")
    body = {
        "prompt": stage.graph("k", 0.6),
        "client_id": "own-9",
        "prompt_id": "3f0c9b9e-51c0-4a34-9a25-6d2c7f4ab009",
    }
    stage.hold(True)
    prompt_id = await stage.submit(**body)
    await owner.until_node_runs(prompt_id)
    await stage.submit(**body)
    await stage.get("/queue")
    stage.hold(False)
    await owner.until(lambda frame: frame["type"] == "execution_cached" and bool(frame["data"]["nodes"]))
    await owner.until_idle_again()
    await stage.until_in_history(prompt_id)
    await owner.fence()
    await stage.get("/history?max_items=3")


async def companion_node(stage: Stage) -> None:
    """Query comfywarm's node; each change sends a frame to all clients, and its nodes always run."""
    owner = await stage.open("owner", "own-10")
    observer = await stage.open("observer", "obs-10")
    for query in ("key=n-0", "key=n-0&key=o-0", "workflow=cache", "workflow=nothing", "key=", "key=x&peek=1"):
        await stage.get(f"/cache/check?{query}")
    await stage.get("/cache/check?peek=1", Accept="application/json")
    stage.hold(True)
    prompt_id = await stage.submit(prompt=stage.graph("n", 0.8), client_id="own-10")
    await owner.until_node_runs(prompt_id)
    await stage.get("/cache/check?key=n-0&key=other", Accept="application/json")
    stage.hold(False)
    await owner.until_over(prompt_id)
    await observer.until_cache_frame(1)
    await stage.get("/cache/check?key=n-0&key=other&key=n-0", Accept="application/json")
    await stage.get("/cache/check?key=n-0", Accept="application/json, text/plain, */*")
    await _keep_and_drop(stage, owner, observer)
    await stage.get("/cache/check?key=n-0", Accept="application/json")


async def _keep_and_drop(stage: Stage, owner: Watcher, observer: Watcher) -> None:
    """Keep, drop, keep by the same prompt, clear Inspire-Pack's cache, drop the rest."""
    model = {"class_type": "RigSlowModel", "inputs": {"name": "o-0", "seconds": 0.4 * stage.scale}}
    keep = {"10": model, "20": keep_node(key="o-0", tag="model", data=["10", 0])}
    drop = {**keep, "30": drop_node(key="o-0", after=["20", 0])}
    for sequence, graph in ((2, keep), (3, drop), (4, keep)):
        await owner.until_over(await stage.submit(prompt=graph, client_id="own-10"))
        await observer.until_cache_frame(sequence)
    await stage.get("/inspire/cache/clear")
    await observer.until_cache_frame(5)
    await owner.until_over(await stage.submit(prompt=drop, client_id="own-10"))
    await observer.until_cache_frame(6)
    await owner.until_cache_frame(6)


SCENARIOS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "01_success_with_progress": success_with_progress,
    "02_resubmitted_everything_cached": resubmitted_everything_cached,
    "03_submitted_without_client_id": submitted_without_client_id,
    "04_node_raises": node_raises,
    "05_interrupted": interrupted,
    "06_pending_deleted": pending_deleted,
    "07_refused_and_misdirected": refused_and_misdirected,
    "08_second_socket_same_client_id": second_socket_same_client_id,
    "09_two_prompts_one_id": two_prompts_one_id,
}
WITH_COMPANION: dict[str, Callable[[Stage], Awaitable[None]]] = {"10_companion_node": companion_node}
"""For a fresh server with comfywarm's node and a workflow file `cache`."""
