"""Workflow files in ComfyUI's API format. The cache nodes in them declare which keys must be cached."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWN_CLASS = "CacheModel //comfywarm"
INSPIRE_PREFIX = "CacheBackendData"
NUMBER_PREFIX = "CacheBackendDataNumberKey"
"""Inspire-Pack's classes with numeric keys, which are ignored."""
FOLDER_VARIABLE = "COMFYWARM_WORKFLOWS"
OWN_FOLDER = Path(__file__).with_name("workflows")


class UnknownWorkflowError(LookupError):
    """The workflow file does not exist or cannot be used. The message is shown to the client."""


def folder() -> Path:
    """Return the folder with the files: $COMFYWARM_WORKFLOWS, or `workflows` beside this module."""
    return Path(os.environ.get(FOLDER_VARIABLE) or OWN_FOLDER)


def names() -> list[str]:
    """Return the names of the workflow files, without `.json`, sorted."""
    return sorted(path.stem for path in folder().glob("*.json"))


def graph_of(name: str) -> Mapping[str, Any]:
    """Read the workflow's graph. Raises UnknownWorkflowError."""
    known = names()
    if name not in known:
        raise UnknownWorkflowError(f"no workflow {name!r}; there are: {', '.join(known) or 'none'}")
    try:
        content = json.loads((folder() / f"{name}.json").read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UnknownWorkflowError(f"workflow {name!r} cannot be read: {error}") from error
    graph = content.get("prompt", content) if isinstance(content, dict) else None
    if not isinstance(graph, dict) or isinstance(graph.get("nodes"), list):
        raise UnknownWorkflowError(f"workflow {name!r} is not in API format; export it with Workflow > Export (API)")
    return graph


def keys_of(graph: Mapping[str, Any]) -> list[str]:
    """Return the text keys of the graph's cache nodes, without duplicates, in order."""
    found = (_key(node) for node in graph.values() if isinstance(node, Mapping))
    return list(dict.fromkeys(key for key in found if key))


def _key(node: Mapping[str, Any]) -> str:
    inputs, class_type = node.get("inputs"), str(node.get("class_type"))
    from_inspire = class_type.startswith(INSPIRE_PREFIX) and not class_type.startswith(NUMBER_PREFIX)
    if not isinstance(inputs, Mapping) or not (from_inspire or class_type == OWN_CLASS):
        return ""
    key = inputs.get("key")
    return key if isinstance(key, str) else ""
