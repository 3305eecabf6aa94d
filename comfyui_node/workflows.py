"""Which keys must be there: declared by workflow files in ComfyUI's API format, the same that comfywarm sends."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OWN_CLASS = "CacheModel //comfywarm"
INSPIRE_PREFIX = "CacheBackendData"
NUMBER_PREFIX = "CacheBackendDataNumberKey"
"""Inspire-Pack's classes whose keys are numbers: only text keys are looked for."""
FOLDER_VARIABLE = "COMFYWARM_WORKFLOWS"
OWN_FOLDER = Path(__file__).with_name("workflows")


class UnknownWorkflowError(LookupError):
    """There is no such file, or it cannot be used; the text is for people."""


def folder() -> Path:
    """Where the files are: $COMFYWARM_WORKFLOWS, else `workflows` beside this module."""
    return Path(os.environ.get(FOLDER_VARIABLE) or OWN_FOLDER)


def names() -> list[str]:
    """The workflows that there are."""
    return sorted(path.stem for path in folder().glob("*.json"))


def graph_of(name: str) -> Mapping[str, Any]:
    """The graph of a workflow. Raises UnknownWorkflowError."""
    known = names()
    if name not in known:
        raise UnknownWorkflowError(f"no workflow {name!r}; there are: {', '.join(known) or 'none'}")
    try:
        content = json.loads((folder() / f"{name}.json").read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UnknownWorkflowError(f"workflow {name!r} cannot be read: {error}") from error
    graph = content.get("prompt", content) if isinstance(content, dict) else None
    if not isinstance(graph, dict) or isinstance(graph.get("nodes"), list):
        raise UnknownWorkflowError(f"workflow {name!r} is not in API format: export it with Workflow > Export (API)")
    return graph


def keys_of(graph: Mapping[str, Any]) -> list[str]:
    """The keys of the graph's cache nodes, each once, in order."""
    found = (_key(node) for node in graph.values() if isinstance(node, Mapping))
    return list(dict.fromkeys(key for key in found if key))


def _key(node: Mapping[str, Any]) -> str:
    inputs, class_type = node.get("inputs"), str(node.get("class_type"))
    keeps = class_type.startswith(INSPIRE_PREFIX) and not class_type.startswith(NUMBER_PREFIX)
    if not isinstance(inputs, Mapping) or not (keeps or class_type == OWN_CLASS):
        return ""
    key = inputs.get("key")
    return key if isinstance(key, str) else ""
