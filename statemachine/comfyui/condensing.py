"""What the client needs of each entry of a large queue, history or description of a node class.

The rest, such as inlined images and the workflow in UI format, is dropped while the answer is read.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from statemachine.comfyui import server_json
from statemachine.comfyui.records import MARKER
from statemachine.comfyui.workflow import is_cache_class

MAX_NODES = 5_000
"""Nodes of a graph. Large workflows have hundreds."""

Reduce = Callable[[Any, bytes], Any]
"""Takes a parsed entry and the text before it, and returns what is needed of it. Raises ValueError at a limit."""

_KEY = re.compile(rb'("(?:[^"\\]|\\.)*+")\s*:\s*\Z')
_UNREAD_DATA = frozenset({"current_inputs", "current_outputs", "traceback"})


def queue_entry(entry: Any, _: bytes) -> Any:
    """Return `[number, prompt_id, graph, extra_data, outputs]` with the cache nodes and the marker only."""
    match entry:
        case [number, prompt_id, graph, extra_data, *rest]:
            return [number, prompt_id, _cache_nodes(graph), _marker(extra_data), *rest[:1]]
    return entry


def history_entry(entry: Any, _: bytes) -> Any:
    """Return the prompt and the status of an entry, without its outputs."""
    if not isinstance(entry, dict):
        return entry
    parts = {"prompt": lambda prompt: queue_entry(prompt, b""), "status": _status}
    return {name: reduce(entry[name]) for name, reduce in parts.items() if name in entry}


def node_class(wanted: str) -> Reduce:
    """Return the reduction of an answer of /object_info. Some gateways answer with all classes."""

    def reduce(entry: Any, before: bytes) -> Any:
        if not isinstance(entry, dict) or "input" not in entry:
            return {}
        if key_before(before) != wanted:
            return {"input": {}}
        return {name: entry[name] for name in ("input", "output_node") if name in entry}

    return reduce


def key_before(text: bytes) -> str | None:
    """Return the name of the JSON member whose value follows this text."""
    found = _KEY.search(text)
    try:
        return str(server_json.loads(found[1])) if found else None
    except orjson.JSONDecodeError:
        return None


def _cache_nodes(graph: Any) -> Any:
    if not isinstance(graph, dict):
        return {}
    if len(graph) > MAX_NODES:
        raise ValueError("too many nodes")
    return {node_id: _cache_node(node) for node_id, node in graph.items() if _is_cache_node(node)}


def _is_cache_node(node: Any) -> bool:
    match node:
        case {"class_type": str() as name}:
            return is_cache_class(name)
    return False


def _cache_node(node: Mapping[str, Any]) -> dict[str, Any]:
    match node:
        case {"inputs": {"key": str() as key}}:
            return {"class_type": node["class_type"], "inputs": {"key": key}}
    return {"class_type": node["class_type"]}


def _marker(extra_data: Any) -> Any:
    """Return the marker of an extra_data; another type than an object is not understood, as in a small answer."""
    if not isinstance(extra_data, dict):
        return extra_data if isinstance(extra_data, str | int) else None
    return {MARKER: extra_data[MARKER]} if MARKER in extra_data else {}


def _status(status: Any) -> Any:
    match status:
        case {"messages": [*messages], **rest}:
            return {"messages": [_message(one) for one in messages], **rest}
    return status


def _message(one: Any) -> Any:
    match one:
        case [kind, {**data}]:
            return [kind, {name: value for name, value in data.items() if name not in _UNREAD_DATA}]
    return one
