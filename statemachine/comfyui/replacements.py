"""Node classes that a server replaces before it validates a prompt (GET /node_replacements, ComfyUI 0.14 and later).

The server replaces a class that it does not have, if it has the new one (app/node_replace_manager.py).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Replacement:
    """The class that takes the place of another one, and the entries that say which inputs it receives."""

    new_class: str
    input_mapping: Sequence[object]

    def applied_to(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return the node as the server validates it."""
        return {**node, "class_type": self.new_class, "inputs": dict(self._inputs(node["inputs"]))}

    def _inputs(self, old: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for entry in self.input_mapping:
            match entry:
                case {"new_id": str() as name, "set_value": value}:
                    yield name, value
                case {"new_id": str() as name, "old_id": str() as old_name} if old_name in old:
                    yield name, old[old_name]


def parse_replacements(answer: Mapping[str, Any]) -> dict[str, Replacement]:
    """Return the replacement of each class. The server uses the first one of a list. Skips what is not understood."""
    found = {}
    for old_class, entries in answer.items():
        match entries:
            case [{"new_node_id": str() as new_class, **rest}, *_]:
                mapping = rest.get("input_mapping")
                found[old_class] = Replacement(new_class, mapping if isinstance(mapping, list) else ())
    return found


def replaced(
    graph: Mapping[str, Any], replacements: Mapping[str, Replacement], classes: Collection[str]
) -> Mapping[str, Any]:
    """Return the graph as a server with these classes validates it."""
    return {node_id: _replaced_node(node, replacements, classes) for node_id, node in graph.items()}


def _replaced_node(
    node: Mapping[str, Any], replacements: Mapping[str, Replacement], classes: Collection[str]
) -> Mapping[str, Any]:
    replacement = replacements.get(node["class_type"])
    if replacement is None or node["class_type"] in classes or replacement.new_class not in classes:
        return node
    return replacement.applied_to(node)
