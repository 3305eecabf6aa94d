"""Nodes that two graphs have in common, as ComfyUI's executor compares them: by class, inputs and the nodes before."""

from collections.abc import Iterable, Mapping
from typing import Any

from statemachine.comfyui.server_json import json_text
from statemachine.comfyui.workflow import is_link

MOST_ROUNDS = 1_000
"""More than the longest chain of nodes."""

MALFORMED = (KeyError, TypeError, AttributeError, RecursionError)
"""What a graph raises that no server could have run."""


def contains_nodes(graph: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether the results of all `wanted` nodes stay after the graph has run; False if that is not clear."""
    try:
        return set(_signatures(wanted).values()) <= set(_signatures(graph).values())
    except MALFORMED:
        return False


def distinct_nodes(graphs: Iterable[Mapping[str, Any]]) -> int:
    """Return how many different results the graphs have together; those of a malformed graph count as its own."""
    found: set[int] = set()
    unclear = 0
    for graph in graphs:
        try:
            found.update(_signatures(graph).values())
        except MALFORMED:
            unclear += len(graph)
    return len(found) + unclear


def _signatures(graph: Mapping[str, Any]) -> dict[str, int]:
    """Return a number for each node that depends on what its result depends on. Raises for a malformed graph."""
    found: dict[str, int] = {}
    for _ in range(min(len(graph), MOST_ROUNDS)):
        ready = [node_id for node_id in graph if node_id not in found and _sources(graph[node_id]) <= found.keys()]
        if not ready:
            break
        found |= {node_id: _signature(graph[node_id], found) for node_id in ready}
    if len(found) < len(graph):
        raise KeyError("a node depends on itself or on one that is missing")
    return found


def _sources(node: Mapping[str, Any]) -> set[str]:
    return {value[0] for value in node["inputs"].values() if is_link(value)}


def _signature(node: Mapping[str, Any], sources: Mapping[str, int]) -> int:
    inputs = {
        name: [sources[value[0]], value[1]] if is_link(value) else {"value": value}
        for name, value in node["inputs"].items()
    }
    return hash((json_text(node["class_type"]), json_text(dict(sorted(inputs.items())))))
