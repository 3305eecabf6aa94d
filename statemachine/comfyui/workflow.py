"""Workflow files in ComfyUI's API format, validated before they are submitted.

ComfyUI answers a malformed graph with 500 or runs only a part of it (transcript 07). The validation here names the
place and the remedy instead. The cache nodes of a workflow define the keys that a warm server must have.
"""

import copy
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from statemachine.comfyui.extra_data import credentials, reusable
from statemachine.core.levels import NO_LEVELS, Level
from statemachine.core.messages import Message, Param, message
from statemachine.i18n.render import MessageError
from statemachine.settings.files import not_utf8_at, read_limited, wrong_encoding

Graph = dict[str, Any]
"""Node id → {"class_type": str, "inputs": {name: literal or ["node id", output index]}, ...}."""

MAX_BYTES = 5_000_000
"""Far more than a graph in API format needs, even with inlined images. ComfyUI accepts 100 MB."""
COMPANION_CLASS = "CacheModel //comfywarm"
INSPIRE_CLASS_PREFIX = "CacheBackendData"
NUMBER_KEY_CLASS_PREFIX = "CacheBackendDataNumberKey"
SMALLEST_STORE = 5
"""Keys in the store of a new tag of Inspire-Pack, if the tag contains `ckpt` (inspire/libs/utils.py); else 20."""
RESERVED_KEY = "*"
"""Inspire-Pack refuses this key, which stands for all keys (inspire/backend_support.py)."""

_BOM = b"\xef\xbb\xbf"
_MAX_SHOWN = 60
"""Characters of a name in an error message."""
_MAX_SHOWN_NODES = 10


class WorkflowError(MessageError):
    """The workflow file is invalid. `where` is the file, or the file and the node."""

    def __init__(self, where: Message | str, problem: Message) -> None:
        super().__init__(message("workflow_error", where=where, problem=problem))


class WorkflowMissingError(WorkflowError):
    """There is no such file."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), message("file_not_found"))


@dataclass(frozen=True, slots=True)
class CacheNode:
    """A node that stores its `data` in the server's cache under `key`."""

    node_id: str
    key: str
    tag: str
    class_type: str


@dataclass(frozen=True, slots=True)
class Workflow:
    """A valid workflow. Copy `graph` to change it."""

    name: str
    graph: Mapping[str, Any]
    cache_nodes: tuple[CacheNode, ...]
    digest: str
    """16 hex digits, which do not depend on white space, the order of members, or extra_data."""
    extra_data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the file adds to the POST beside the graph. It may have credentials; never show it."""
    warm: Level = Level.KEY
    """Where the settings want the models of its keys on a server."""
    is_bundled: bool = False
    """Whether the file comes with comfywarm and not from the operator's folder."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a warm server has cached, each once, in the order of the file."""
        return tuple(dict.fromkeys(node.key for node in self.cache_nodes))

    @property
    def wanted(self) -> Mapping[str, Level]:
        """The keys whose models are wanted in memory."""
        return NO_LEVELS if self.warm is Level.KEY else dict.fromkeys(self.keys, self.warm)

    def wanted_at(self, level: Level) -> "Workflow":
        """Return the same workflow with its models wanted at this level."""
        return self if level is self.warm else replace(self, warm=level)

    def secrets(self) -> Iterator[SecretStr]:
        """Yield the credentials in `extra_data`, such as `api_key_comfy_org`."""
        return credentials(self.extra_data)


def find_workflow(folder: Path, name: str, bundled: Path) -> Workflow:
    """Return the workflow of this name in the folder, else the bundled one. Raises WorkflowError."""
    try:
        return load_workflow(folder / f"{name}.json")
    except WorkflowMissingError:
        if not (bundled / f"{name}.json").is_file():
            raise
        return replace(load_workflow(bundled / f"{name}.json"), is_bundled=True)


def load_workflow(path: Path) -> Workflow:
    """Return the workflow in a file, with the file's name. Raises WorkflowError, also for an unreadable file."""
    try:
        data = read_limited(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise WorkflowMissingError(path) from error
    except OSError as error:
        raise WorkflowError(str(path), _unreadable(error)) from error
    except ValueError as error:  # a NUL in the name
        raise WorkflowError(_shown(str(path)), message("not_file_name", error=str(error))) from error
    return parse_workflow(path.stem, data)


def parse_workflow(name: str, data: bytes) -> Workflow:
    """Return the workflow in `data`: a graph in API format, or the body of a POST /prompt, `{"prompt": graph}`.

    Of the body's other members only `extra_data` is used. Raises WorkflowError for anything else.
    """
    where = f"{name}.json"
    content = _json(where, data)
    graph, extra_data = _graph(where, content), _extra_data(where, content)
    _check_nodes(where, graph)
    _check_links(where, graph)
    cache_nodes = tuple(_cache_node(where, node_id, graph[node_id]) for node_id in _cache_node_ids(graph))
    return Workflow(
        name=name, graph=graph, cache_nodes=cache_nodes, digest=_digest(where, graph), extra_data=extra_data
    )


def with_varied_tag(workflow: Workflow, salt: str) -> Graph:
    """Return a copy of the graph whose cache nodes have the tag `tag#salt`, so that the executor runs only them again.

    This brings back keys that were lost while the executor still caches the nodes ("Success without loading" in
    docs/comfyui.md). `tag` is always the tag in the file. Inspire-Pack gives a new tag a store of its default size, not
    of the size that the file's tag has, so that further keys of a tag have `tag#salt.1`, `tag#salt.2`, ….
    """
    graph = copy.deepcopy(dict(workflow.graph))
    seen: Counter[str] = Counter()
    for node in workflow.cache_nodes:
        number = seen[node.tag] // SMALLEST_STORE
        seen[node.tag] += 1
        graph[node.node_id]["inputs"]["tag"] = f"{node.tag}#{salt}" + (f".{number}" if number else "")
    return graph


def is_link(value: object) -> bool:
    """Return whether an input's value is a link `[node id, output index]` (comfy_execution/graph_utils.py, is_link)."""
    match value:
        case [str(), bool()]:
            return False
        case [str(), int() | float()]:
            return True
    return False


def is_cache_class(class_type: str) -> bool:
    """Return whether nodes of this class cache their `data` under a text key.

    These are `CacheModel //comfywarm` (comfyui_node/nodes.py) and Inspire-Pack's `CacheBackendData //Inspire` and
    `CacheBackendDataList //Inspire` (inspire/backend_support.py), but not its classes with number keys.
    """
    if class_type.startswith(NUMBER_KEY_CLASS_PREFIX):
        return False
    return class_type == COMPANION_CLASS or class_type.startswith(INSPIRE_CLASS_PREFIX)


def _json(where: str, data: bytes) -> object:
    if len(data) > MAX_BYTES:
        raise WorkflowError(where, message("file_too_large", limit=f"{MAX_BYTES:,}"))
    data = data.removeprefix(_BOM)
    if encoding := wrong_encoding(data):
        raise WorkflowError(where, message("encoding_error", problem=encoding, remedy=message("save_as_utf8")))
    if place := not_utf8_at(data):
        problem = message("encoding_error", problem=message("file_not_utf8"), remedy=message("save_as_utf8"))
        raise WorkflowError("{}:{}:{}".format(where, *place), problem)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise WorkflowError(f"{where}:{error.lineno}:{error.colno}", message("not_json", error=error.msg)) from error


def _graph(where: str, content: object) -> Graph:
    if isinstance(content, dict) and _is_request_body(content):
        content = content["prompt"]
    if not isinstance(content, dict):
        raise WorkflowError(where, _export_again("workflow_not_object", found=_kind(content)))
    if isinstance(content.get("nodes"), list):
        raise WorkflowError(where, _export_again("ui_format"))
    if not content:
        raise WorkflowError(where, message("no_nodes"))
    return content


def _is_request_body(content: Mapping[str, Any]) -> bool:
    """Return whether this is `{"prompt": graph, …}` and not a graph with a node whose id is "prompt"."""
    inner = content.get("prompt")
    return isinstance(inner, dict) and "class_type" not in inner


def _extra_data(where: str, content: object) -> dict[str, Any]:
    """Return what a request body adds to each POST."""
    found = content.get("extra_data") if isinstance(content, dict) and _is_request_body(content) else None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise WorkflowError(where, message("extra_data_not_object", found=_kind(found)))
    _serialised(where, found)
    return reusable(found)


def _check_nodes(where: str, graph: Graph) -> None:
    for node_id, node in graph.items():
        at = _at(where, node_id)
        if not isinstance(node, dict):
            raise WorkflowError(at, _export_again("node_not_object", found=_kind(node)))
        if not isinstance(node.get("class_type"), str) or not node["class_type"]:
            raise WorkflowError(at, _export_again("class_type_missing"))
        if not isinstance(node.get("inputs"), dict):
            raise WorkflowError(at, _export_again("inputs_not_object", found=_kind(node.get("inputs"))))


def _check_links(where: str, graph: Graph) -> None:
    for node_id, node in graph.items():
        for input_name, source in _links(node):
            if source not in graph:
                problem = message("link_to_nowhere", input=_shown(input_name), source=_shown(source))
                raise WorkflowError(_at(where, node_id), problem)
    sources = {node_id: [source for _, source in _links(node)] for node_id, node in graph.items()}
    try:
        TopologicalSorter(sources).prepare()
    except CycleError as error:
        cycle = " → ".join(_shown(node_id) for node_id in error.args[1][:_MAX_SHOWN_NODES])
        raise WorkflowError(where, message("link_cycle", nodes=cycle)) from error


def _links(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the source node's id of each linked input."""
    return ((name, value[0]) for name, value in node["inputs"].items() if is_link(value))


def _cache_node_ids(graph: Graph) -> Iterator[str]:
    return (node_id for node_id, node in graph.items() if is_cache_class(node["class_type"]))


def _cache_node(where: str, node_id: str, node: Mapping[str, Any]) -> CacheNode:
    """Return a cache node. Its key and tag must be in the file, because a key computed by a node cannot be checked."""
    at, inputs = _at(where, node_id), node["inputs"]
    key, tag = (_text_input(at, inputs, name) for name in ("key", "tag"))
    if not key.strip() or key == RESERVED_KEY:
        raise WorkflowError(at, message("reserved_key", key=_shown(key)))
    if not is_link(inputs.get("data")):
        raise WorkflowError(at, message("data_not_linked"))
    return CacheNode(node_id=node_id, key=key, tag=tag, class_type=node["class_type"])


def _text_input(at: Message, inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name)
    if isinstance(value, str):
        return value
    if is_link(value):
        raise WorkflowError(at, message("input_linked", input=name))
    raise WorkflowError(at, message("input_not_text", input=name, found=_kind(value)))


def _digest(where: str, graph: Graph) -> str:
    return hashlib.sha256(_serialised(where, graph)).hexdigest()[:16]


def _serialised(where: str, value: object) -> bytes:
    """Return the value as JSON. It can be sent: as a member of the POST's body it is nested one level deeper."""
    try:
        return orjson.dumps([value], option=orjson.OPT_SORT_KEYS)[1:-1]
    except orjson.JSONEncodeError as error:  # orjson reads deeper nesting than it writes
        raise WorkflowError(where, message("workflow_not_sendable", error=str(error))) from error


def _unreadable(error: OSError) -> Message:
    return message("file_unreadable", error=error.strerror or type(error).__name__)


def _export_again(code: str, **params: Param) -> Message:
    return message("export_again", problem=Message(code, params))


def _at(where: str, node_id: str) -> Message:
    return message("at_node", file=where, node=_shown(node_id))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


_KINDS = {
    type(None): "kind_nothing",
    bool: "kind_boolean",
    str: "kind_text",
    list: "kind_list",
    dict: "kind_object",
}


def _kind(value: object) -> Message:
    return message(_KINDS.get(type(value), "kind_number"))
