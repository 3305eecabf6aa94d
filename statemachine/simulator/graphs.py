"""What the executor derives from a graph: the cache key of a node, its sources, and the order of nodes."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from statemachine.simulator.nodes import KEEP_NODE, Graph
from statemachine.simulator.prompt_queue import Item


def signature(graph: Graph, node_id: str, losses: Mapping[str, int] = MappingProxyType({})) -> str:
    """Return the node's cache key: its class, its inputs and those of its ancestors, without ids.

    comfywarm's node that keeps a key adds how often that key was lost, like its IS_CHANGED.
    """
    node = graph[node_id]
    inputs = [("", str(losses.get(node["inputs"]["key"], 0)))] if node["class_type"] == KEEP_NODE else []
    for name, value in sorted(node.get("inputs", {}).items()):
        linked = isinstance(value, list) and len(value) == 2 and value[0] in graph  # noqa: PLR2004 - [node, slot]
        inputs.append((name, f"{signature(graph, value[0], losses)}#{value[1]}" if linked else repr(value)))
    return f"{node['class_type']}{inputs}"


def sources_of(graph: Graph, node_id: str) -> list[str]:
    """Return the class of the node and of those that its input `data` comes through, nearest first."""
    found: list[str] = []
    while node_id in graph and len(found) < len(graph):
        found.append(graph[node_id]["class_type"])
        data = graph[node_id]["inputs"].get("data")
        node_id = data[0] if isinstance(data, list) and data else ""
    return found


def execution_order(item: Item, cached: list[str], is_output: Callable[[str], bool]) -> list[str]:
    """Return the ids of the outputs and their ancestors in run order.

    Nodes that only feed a cached node are left out.
    Of the ready nodes, ComfyUI runs an output first, then one that feeds an output, then the oldest.
    """
    needs: dict[str, set[str]] = {}
    to_visit = list(reversed(item.outputs))
    while to_visit:
        node_id = to_visit.pop()
        if node_id in needs:
            continue
        links = () if node_id in cached else _links(item.graph, node_id)
        needs[node_id] = {link for link in links if link not in cached}
        to_visit += needs[node_id]
    order: list[str] = []
    while len(order) < len(needs):
        ready = [each for each in needs if each not in order and needs[each].issubset(order)]
        feeds = [each for each in ready if any(each in needs[o] for o in filter(is_output, needs))]
        order.append(next(filter(is_output, ready), (feeds or ready)[0]))
    return order


def _links(graph: Graph, node_id: str) -> list[str]:
    values = graph[node_id]["inputs"].values()
    return [value[0] for value in values if isinstance(value, list)]
