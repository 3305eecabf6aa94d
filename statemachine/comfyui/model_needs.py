"""The model files that a graph loads, for the choice of a server that has them ready.

A graph is a client's, so it may have any form. What is not understood is left out, and the work is bounded.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from statemachine.comfyui.object_info import ListedFiles, files_of, is_described, is_file, normalise
from statemachine.comfyui.workflow import Workflow, is_cache_class, is_link

MAX_NODES = 10_000
MAX_INPUTS = 50_000
"""Nodes and inputs of a graph that are looked at. Real graphs have some hundred."""

MAX_MODELS = 100
"""Models of a graph. Real graphs load up to about twenty."""

MAX_NAME = 500
"""Characters of a file's name or of a key. Longer ones are not models."""

MODEL_SUFFIXES = frozenset({
    ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft", ".engine", ".gguf", ".onnx", ".trt",
    ".tflite",
})  # fmt: skip
"""Suffixes that only models have. A server may list other files, which only its list shows to be models."""

KEY_INPUT = "key"
KEY_MARK = "key:"
"""Begins the name of a cached key whose models are unknown. It can be no file, because of the colon."""

READING_PREFIXES = ("CachedModel //comfywarm", "RetrieveBackendData")
DROPPING_PREFIXES = ("DropModel //comfywarm", "RemoveBackendData")
"""Classes of the companion node and of Inspire-Pack that read and remove what is stored under a key."""

Keys = Mapping[str, frozenset[str]]
"""The models that are stored under each key."""


def models_of(graph: object, object_info: Mapping[str, Any] | None = None, keys: Keys | None = None) -> frozenset[str]:
    """Return the normalised names of the models that a graph loads. Never raises.

    `object_info` has the descriptions of node classes by a server; with it, a file counts if its input lists models. A
    class without description counts as without it: texts with the suffix of a model file. `keys` are those of known
    workflow files; an unknown key that a cache node reads is itself a need. A node that no output depends on counts
    too, because only the server knows its output nodes.
    """
    found: set[str] = set()
    lists: dict[tuple[str, str], ListedFiles | None] = {}
    for class_type, name, value in _text_inputs(graph):
        if name == KEY_INPUT and (key_models := _behind_key(class_type, value, keys or {})) is not None:
            found |= key_models
        elif _is_model(class_type, name, value, object_info or {}, lists):
            found.add(normalise(value))
        if len(found) >= MAX_MODELS:
            break
    return frozenset(sorted(found)[:MAX_MODELS])


def keys_of(workflows: Iterable[Workflow]) -> dict[str, frozenset[str]]:
    """Return which models each key of these workflow files stores: those of the nodes that its cache node needs."""
    found: dict[str, frozenset[str]] = {}
    for workflow in workflows:
        for node in workflow.cache_nodes:
            behind = {node_id: workflow.graph[node_id] for node_id in _ancestors(workflow.graph, node.node_id)}
            found[node.key] = found.get(node.key, frozenset()) | models_of(behind)
    return found


def _behind_key(class_type: str, key: str, keys: Keys) -> frozenset[str] | None:
    """Return what a node reads under a key: models, the key itself if these are unknown, None if it reads no key.

    A node of any class that names a known key reads it; an unknown one counts if its class belongs to a cache. A cache
    node that stores a key has its models behind it in the graph.
    """
    if is_cache_class(class_type) or class_type.startswith(DROPPING_PREFIXES):
        return frozenset()
    if key in keys:
        return keys[key] or frozenset({KEY_MARK + key})
    return frozenset({KEY_MARK + key}) if class_type.startswith(READING_PREFIXES) else None


def _is_model(
    class_type: str,
    name: str,
    value: str,
    object_info: Mapping[str, Any],
    lists: dict[tuple[str, str], ListedFiles | None],
) -> bool:
    if not is_file(value):
        return False
    place = class_type, name
    if place not in lists:
        description = object_info.get(class_type)
        lists[place] = files_of(description, name) if is_described(description) else None
    listed = lists[place]
    if listed is None:
        return "." + value.rpartition(".")[2].casefold() in MODEL_SUFFIXES
    return listed.count > 0


def _text_inputs(graph: object) -> Iterator[tuple[str, str, str]]:
    """Yield class, name and value of the inputs that are short texts."""
    nodes = islice(graph.values(), MAX_NODES) if isinstance(graph, dict) else ()
    inputs = (
        (class_type, name, value)
        for node in nodes
        if isinstance(node, dict) and isinstance(class_type := node.get("class_type"), str)
        for name, value in _items(node.get("inputs"))
    )
    for class_type, name, value in islice(inputs, MAX_INPUTS):
        if isinstance(name, str) and isinstance(value, str) and 0 < len(value) <= MAX_NAME:
            yield class_type, name, value


def _items(inputs: object) -> Iterable[tuple[object, object]]:
    return inputs.items() if isinstance(inputs, dict) else ()


def _ancestors(graph: Mapping[str, Any], node_id: str) -> set[str]:
    """Return the node and all that it depends on."""
    waiting, found = [node_id], set[str]()
    while waiting:
        one = waiting.pop()
        if one in graph and one not in found:
            found.add(one)
            waiting += [value[0] for value in graph[one]["inputs"].values() if is_link(value)]
    return found
