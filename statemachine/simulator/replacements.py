"""The replacement of missing classes before validation, which ComfyUI does since 0.14."""

from collections.abc import Mapping
from typing import Any

from statemachine.simulator.nodes import RIG, Graph, NodeClass

OLD_CLASS = "RigOldModel"
MAPPING: list[dict[str, Any]] = [{"new_id": "name", "old_id": "old_name"}, {"new_id": "seconds", "set_value": 0.1}]
REPLACEMENTS = {OLD_CLASS: [{"new_node_id": RIG, "old_node_id": OLD_CLASS, "input_mapping": MAPPING}]}
"""The answer of GET /node_replacements."""


def replace_missing(graph: Graph, classes: Mapping[str, NodeClass]) -> None:
    """Replace the old class in place. A node without `_meta` raises KeyError, which becomes 500, as in ComfyUI."""
    for node_id, node in list(graph.items()):
        if "class_type" in node and "inputs" in node and node["class_type"] == OLD_CLASS and RIG in classes:
            inputs = {one["new_id"]: one.get("set_value") or node["inputs"][one["old_id"]] for one in MAPPING}
            graph[node_id] = {"inputs": inputs, "class_type": RIG, "_meta": node["_meta"]}
