"""Scenarios without a recording: a real server and the simulator are compared with each other.

Each scenario takes the Stage of `tests/stage.py` and leaves its server idle.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from tests.stage import Stage, cache_node

Graph = dict[str, Any]
ODD_PROMPTS: list[Any] = [{"prompt": []}, {"prompt": "graph"}, {"prompt": {"1": "node"}}, {"prompt": {}, "number": "x"}]


def slow_model(name: Any, seconds: Any = 0.1, **more: Any) -> Graph:
    return {"class_type": "RigSlowModel", "inputs": {"name": name, "seconds": seconds, **more}}


def cached_model(key: str, tag: str = "model", model: Graph | None = None) -> Graph:
    """Return a graph that caches one model under one key: node 10 feeds node 20."""
    return {"10": model or slow_model(key), "20": cache_node(key=key, tag=tag, data=["10", 0])}


async def order_of_the_queue(stage: Stage) -> None:
    """Submit with `front` and `number`, read the heap order of pending prompts, clear, interrupt without an id."""
    owner = await stage.open("owner", "own-order")
    running = await stage.submit(prompt=cached_model("q-0", model=slow_model("q-0", 20.0)), client_id="own-order")
    await owner.until_node_runs(running)
    await stage.submit(prompt=cached_model("q-1"))
    await stage.submit(prompt=cached_model("q-2"), front=True)
    await stage.submit(prompt=cached_model("q-3"), number=0.5)
    await stage.submit(prompt=cached_model("q-4"), front=False, extra_data={"note": "kept"})
    await stage.submit(prompt=cached_model("q-5"), client_id="own-order", extra_data={"client_id": "overwritten"})
    await stage.get("/queue")
    await stage.get("/prompt")
    await stage.post("/queue", {"delete": ["no-such-id"]})
    await stage.post("/queue", {"clear": True})
    await stage.get("/queue")
    await stage.post("/interrupt", {"prompt_id": "no-such-id"})
    await stage.get("/prompt")
    await stage.post("/interrupt", "")
    await owner.until_over(running)


async def odd_requests(stage: Stage) -> None:
    """Send requests that no client should send."""
    for body in ODD_PROMPTS:
        await stage.post("/prompt", body)
    await stage.post("/queue", {})
    await stage.post("/queue", "")
    await stage.post("/interrupt", "")
    await stage.post("/interrupt", {})
    await stage.post("/free", {})
    for path in ("/history/no-such-id", "/history?max_items=0", "/history?max_items=x"):
        await stage.get(path)
    await stage.get("/object_info/NoSuchNode")
    await stage.get("/api/prompt")
    await stage.get("/features")


async def lists_as_bodies(stage: Stage) -> None:
    await stage.post("/prompt", [])
    await stage.post("/queue", [])


async def unknown_paths(stage: Stage) -> None:
    await stage.get("/nothing")
    await stage.get("/api/nothing")


async def refused_values(stage: Stage) -> None:
    """Submit graphs with an invalid value, a link to a missing node, or no output node."""
    for graph in (
        cached_model("v", model=slow_model("v", "soon")),
        cached_model("v", model=slow_model("v", -1.0)),
        {"20": cache_node(key="v", tag="model", data=["99", 0])},
        {"10": slow_model("v")},
    ):
        await stage.post("/prompt", {"prompt": graph})


async def refused_links(stage: Stage) -> None:
    """Submit a node without inputs, a cycle, an incomplete link, and a link to an output that does not exist."""
    for graph in (
        cached_model("v", model={"class_type": "RigSlowModel"}),
        {"20": cache_node(key="v", tag="model", data=["20", 0])},
        {"10": slow_model("v"), "20": cache_node(key="v", tag="model", data=["10"])},
        {"10": slow_model("v"), "20": cache_node(key="v", tag="model", data=["10", 5])},
    ):
        await stage.post("/prompt", {"prompt": graph})


async def values_that_are_converted(stage: Stage) -> None:
    """Submit a number for a text, a text for a number, and an unknown input; ComfyUI accepts all of them."""
    owner = await stage.open("owner", "own-values")
    prompt_id = await stage.submit(prompt=cached_model("w", model=slow_model(7, "0.1", more=1)), client_id="own-values")
    await owner.until_over(prompt_id)
    await stage.get(f"/history/{prompt_id}")


async def keys_dropped_and_memory_freed(stage: Stage) -> None:
    """Submit after the keys were dropped, with the same tag, with another tag, and after /free."""
    owner = await stage.open("owner", "own-dropped")
    for tag in ("model", "model", "again"):
        prompt_id = await stage.submit(prompt=cached_model("t-0", tag), client_id="own-dropped")
        await owner.until_over(prompt_id)
        await stage.get("/inspire/cache/clear")
    await stage.post("/free", {"free_memory": True})
    await wait_until_freed(stage)
    prompt_id = await stage.submit(prompt=cached_model("t-0", "again"), client_id="own-dropped")
    await owner.until_over(prompt_id)


async def wait_until_freed(stage: Stage) -> None:
    """Wait until a real server's worker has handled /free. The simulator handles it before it answers."""
    for _ in range(500):
        async with stage.session.get("/rig/state") as response:
            if response.status != HTTPStatus.OK or not (await response.json())["flags"]:
                return
        await asyncio.sleep(0.02)


async def the_list_of_keys(stage: Stage) -> None:
    """Read Inspire-Pack's list empty, with one key, and after it was cleared."""
    owner = await stage.open("owner", "own-list")
    await stage.get("/inspire/cache/list")
    prompt_id = await stage.submit(prompt=cached_model("u-0"), client_id="own-list")
    await owner.until_over(prompt_id)
    await stage.get("/inspire/cache/list")
    await stage.get("/inspire/cache/clear")
    await stage.get("/inspire/cache/list")


async def a_socket_that_joins_late(stage: Stage) -> None:
    """Connect with the client id of a running prompt: the server sends the running node and the later frames."""
    first = await stage.open("first", "own-late")
    prompt_id = await stage.submit(prompt=cached_model("l-0", model=slow_model("l-0", 20.0)), client_id="own-late")
    await first.until_node_runs(prompt_id)
    await first.close()
    second = await stage.open("second", "own-late")
    await second.until(lambda frame: frame["type"] == "executing")
    await stage.post("/interrupt", {"prompt_id": prompt_id})
    await second.until_over(prompt_id)


UNRECORDED: dict[str, Callable[[Stage], Awaitable[None]]] = {
    scenario.__name__: scenario
    for scenario in (
        order_of_the_queue,
        odd_requests,
        lists_as_bodies,
        unknown_paths,
        refused_values,
        refused_links,
        values_that_are_converted,
        keys_dropped_and_memory_freed,
        the_list_of_keys,
        a_socket_that_joins_late,
    )
}

INTERRUPTED = {order_of_the_queue.__name__, a_socket_that_joins_late.__name__}
"""The number of progress steps before the interrupt varies, so it is not compared."""
