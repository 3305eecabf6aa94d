"""The graph of a warm-up that must also bring models into memory, not only set the keys.

ComfyUI's executor reuses the outputs of loaders, and of all that depends on them, so that the same prompt would load
nothing. The companion node's class `LoadModel //comfywarm` between a loader and the nodes that use its output runs in
every prompt: it lets ComfyUI load the model, and the nodes after it, such as a sampler, run again (docs/node.md).
"""

from collections.abc import Mapping
from itertools import count
from typing import Any

from statemachine.comfyui.workflow import Graph, Workflow, is_link
from statemachine.core.levels import Level

LOAD_CLASS = "LoadModel //comfywarm"

Link = tuple[str, int]


def with_load_nodes(graph: Mapping[str, Any], workflow: Workflow, level: Level) -> Graph:
    """Return a copy of the workflow's graph with a load node for each output that a cache node stores."""
    added = _names(graph, workflow)
    loads = {
        name: {"class_type": LOAD_CLASS, "inputs": {"data": list(link), "warm": level.word}}
        for link, name in added.items()
    }
    return {**{node_id: _redirected(node, added) for node_id, node in graph.items()}, **loads}


def load_node_count(workflow: Workflow) -> int:
    """Return how many nodes are added to the graph."""
    return len(_names(workflow.graph, workflow))


def _names(graph: Mapping[str, Any], workflow: Workflow) -> dict[Link, str]:
    """Return the ids of the load nodes, which the graph does not have, by the output that each one passes on."""
    free = (name for number in count(1) if (name := f"comfywarm-load-{number}") not in graph)
    data = (graph[node.node_id]["inputs"]["data"] for node in workflow.cache_nodes)
    return {(link[0], link[1]): next(free) for link in dict.fromkeys(map(tuple, data))}


def _redirected(node: Mapping[str, Any], added: Mapping[Link, str]) -> dict[str, Any]:
    """Return the node with the load nodes' outputs instead of those that they pass on."""
    inputs = {name: _target(value, added) for name, value in node["inputs"].items()}
    return {**node, "inputs": inputs}


def _target(value: Any, added: Mapping[Link, str]) -> Any:
    name = added.get((value[0], value[1])) if is_link(value) else None
    return [name, 0] if name is not None else value
