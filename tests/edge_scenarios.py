"""Scenarios of unusual requests, of the queue's order, of the job routes and of dropped keys.

Each scenario takes the Stage of `tests/stage.py` and leaves its server idle. Play them in order on one fresh server.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from tests.stage import Stage, Watcher, cache_node

Graph = dict[str, Any]
CANONICAL = "3f0c9b9e-51c0-4a34-9a25-6d2c7f4ab0cc"
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
    """Wait until a real server's worker has handled /free. The simulator handles it before it answers.

    The worker misses a flag that is set while it collects garbage, so the request is repeated without being recorded.
    """
    while True:
        for _ in range(50):
            async with stage.session.get("/rig/state") as response:
                if response.status != HTTPStatus.OK or not (await response.json())["flags"]:
                    return
            await asyncio.sleep(0.02)
        async with stage.session.post("/free", json={"free_memory": True}):
            pass


async def the_list_of_keys(stage: Stage) -> None:
    """Read Inspire-Pack's list empty, with one key, and after it was cleared."""
    owner = await stage.open("owner", "own-list")
    await stage.get("/inspire/cache/clear")
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


async def ids_of_clients(stage: Stage) -> None:
    """Submit with ids in several forms. Since 0.25, ComfyUI accepts only a canonical UUID in lower case."""
    owner = await stage.open("owner", "own-ids")
    for prompt_id in (CANONICAL, CANONICAL.upper(), CANONICAL.replace("-", ""), "no-uuid", "", 7, None, [CANONICAL]):
        body = {"prompt": cached_model("x-0"), "client_id": "own-ids", "prompt_id": prompt_id}
        answer = await stage.post("/prompt", body)
        if "error" not in (answer or {"error": 500}):
            await owner.until_ended(answer["prompt_id"])


async def missing_and_replaced_classes(stage: Stage) -> None:
    """Submit a missing class with a title, and a class that newer versions replace."""
    owner = await stage.open("owner", "own-classes")
    titled = {"class_type": "NoSuchNode", "inputs": {}, "_meta": {"title": "My loader"}}
    await stage.post("/prompt", {"prompt": {"1": titled}})
    old = {"class_type": "RigOldModel", "inputs": {"old_name": "y-0"}, "_meta": {"title": "An old model"}}
    body = {"prompt": cached_model("y-0", model=old), "client_id": "own-classes"}
    answer = await stage.post("/prompt", body)
    if "error" not in answer:
        await owner.until_over(answer["prompt_id"])
        await stage.get("/queue")
        await stage.get(f"/history/{answer['prompt_id']}")


async def requests_of_a_browser(stage: Stage) -> None:
    """Send the headers of a page of another site."""
    await stage.get("/queue", Origin="http://other.example")
    await stage.get("/queue", **{"Sec-Fetch-Site": "cross-site"})
    await stage.get("/queue", **{"Sec-Fetch-Site": "same-origin"})


async def jobs_in_every_state(stage: Stage) -> None:
    """Read /api/jobs of a running, pending, deleted, interrupted, failed and successful prompt."""
    owner = await stage.open("owner", "own-jobs")
    await stage.get("/api/jobs")
    running = await stage.submit(prompt=cached_model("j-0", model=slow_model("j-0", 20.0)), client_id="own-jobs")
    await owner.until_node_runs(running)
    pending = await stage.submit(prompt=cached_model("j-1"), client_id="own-jobs")
    for path in (running, pending, CANONICAL):
        await stage.get(f"/api/jobs/{path}")
    await stage.get("/api/jobs?sort_order=asc")
    for query in ("status=nothing", "status=pending", "sort_by=nothing", "limit=x", "limit=1", "offset=x"):
        await stage.get(f"/api/jobs?{query}")
    await _cancelled(stage, owner, running, pending)
    for key, model in (("d-0", slow_model("explode")), ("j-2", slow_model("j-2"))):
        prompt_id = await stage.submit(prompt=cached_model(key, model=model), client_id="own-jobs")
        await owner.until_over(prompt_id)
        await stage.get(f"/api/jobs/{prompt_id}")
    await stage.get("/api/jobs?sort_order=asc")


async def _cancelled(stage: Stage, owner: Watcher, running: str, pending: str) -> None:
    """Cancel as a job, which works since 0.26, then as all versions do."""
    await stage.post(f"/api/jobs/{pending}/cancel", "")
    await stage.post("/queue", {"delete": [pending]})
    await stage.get(f"/api/jobs/{pending}")
    await stage.post("/api/jobs/cancel", {"job_ids": [CANONICAL]})
    await stage.post("/interrupt", {"prompt_id": running})
    await owner.until_over(running)
    await stage.get(f"/api/jobs/{running}")
    await stage.post(f"/api/jobs/{running}/cancel", "")


EDGE_SCENARIOS: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "11_jobs_in_every_state": jobs_in_every_state,
    "12_the_list_of_keys": the_list_of_keys,
    "13_odd_requests": odd_requests,
    "14_order_of_the_queue": order_of_the_queue,
    "15_lists_as_bodies": lists_as_bodies,
    "16_unknown_paths": unknown_paths,
    "17_refused_values": refused_values,
    "18_refused_links": refused_links,
    "19_values_that_are_converted": values_that_are_converted,
    "20_keys_dropped_and_memory_freed": keys_dropped_and_memory_freed,
    "21_a_socket_that_joins_late": a_socket_that_joins_late,
    "22_ids_of_clients": ids_of_clients,
    "23_missing_and_replaced_classes": missing_and_replaced_classes,
    "24_requests_of_a_browser": requests_of_a_browser,
}
