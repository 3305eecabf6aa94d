"""Workflow files of one or two nodes, parsed or refused."""

import json
from typing import Any

import pytest

from statemachine.comfyui.workflow import Workflow, WorkflowError, parse_workflow

LOADER = {"class_type": "Loader", "inputs": {"model": "a.safetensors"}}
INSPIRE = "CacheBackendData //Inspire"


def cache_node(class_type: str = INSPIRE, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": {"key": "k", "tag": "t", "data": ["1", 0], **inputs}}


def parse(graph: object) -> Workflow:
    return parse_workflow("w", json.dumps(graph).encode())


def refusal(graph: object) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        parse(graph)
    return caught.value
