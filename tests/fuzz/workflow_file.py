"""Workflow files: a `Workflow` that can be submitted, or a WorkflowError."""

import json
from contextlib import suppress

import orjson

from statemachine.comfyui.workflow import WorkflowError, parse_workflow, with_varied_tag
from tests.support.paths import WORKFLOWS
from tests.transcript import NAMES, recorded

SEEDS = [
    *(path.read_bytes() for path in sorted((WORKFLOWS).glob("*.json"))),
    *{
        json.dumps(line["body"]).encode()
        for name in NAMES
        for line in recorded(name)
        if isinstance(line.get("body"), dict) and "prompt" in line["body"]
    },
    b'{"nodes": [], "links": []}',
    b'{"prompt": {"1": {"class_type": "A", "inputs": {}}}, "extra_data": {"api_key": ["k"], "extra_pnginfo": {}}}',
    '{"1": {"class_type": "加载", "inputs": {}}}'.encode("utf-16"),
    '{"1": {"class_type": "加载", "inputs": {}}}'.encode("gbk"),
    b'{"1": {"class_type": "A", "inputs": {"x": ["2", 0]}}, "2": {"class_type": "A", "inputs": {"x": ["1", 0]}}}',
]
TOKENS = [
    '"extra_data"', '"token"',
    '"class_type"', '"inputs"', '"prompt"', '"nodes"', '"key"', '"tag"', '"data"', '"_meta"', '"title"',
    "CacheBackendData", "CacheBackendDataNumberKey", " //Inspire", "CacheBackendDataList", '["1", 0]', '["2", 0]',
    "null", "true", "{}", "[]", "*",
]  # fmt: skip


def run_input(data: bytes) -> None:
    """Parse the input as a workflow file."""
    with suppress(WorkflowError):
        workflow = parse_workflow("fuzzed", data)
        orjson.dumps({"prompt": workflow.graph, "extra_data": workflow.extra_data})
        assert set(with_varied_tag(workflow, "salt")) == set(workflow.graph)
        assert set(workflow.keys) == {node.key for node in workflow.cache_nodes}
