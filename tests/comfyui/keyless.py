"""Workflows without cache nodes, and what the executor has kept of them."""

from typing import Any

from tests.comfyui.rig import Graph, RealServer
from tests.support.daemon import Json


async def cached_nodes(server: RealServer, graph: Graph) -> list[str]:
    """Run the graph and return the nodes whose results the executor had."""
    entry = await server.run(graph)
    (nodes,) = [data["nodes"] for kind, data in entry["status"]["messages"] if kind == "execution_cached"]
    return list(nodes)


def without_cache_nodes(name: str) -> Graph:
    model = {"class_type": "RigSlowModel", "inputs": {"name": name, "seconds": 0.1}}
    return {"10": model, "30": end("10")}


def end(node_id: str) -> dict[str, Any]:
    return {"class_type": "RigAfter", "inputs": {"data": [node_id, 0], "after": [node_id, 0]}}


def is_checked_again(checks: int, detail: Json) -> bool:
    """Return whether a server is loaded after more than so many checks."""
    return bool(detail["counters"]["checks"] > checks and detail["state"] == "loaded")
