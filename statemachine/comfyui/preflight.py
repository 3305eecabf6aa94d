"""The preflight: whether a server has the node classes and model files of a workflow.

It runs before the first warm-up, so that an operator reads which file is missing instead of a refused prompt. It
refuses only what the server would refuse, as far as `GET /object_info/CLASS` shows it; the server validates the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.node_classes import NodeClasses, Replacement, Unexamined, replaced
from statemachine.comfyui.object_info import files_of, is_combo, is_file, may_be_output
from statemachine.comfyui.workflow import Workflow, is_link
from statemachine.core.messages import Message, message


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A file that a node requires and the server does not list.

    `near_match` is a listed file with other slashes, another case or another folder. ComfyUI compares names exactly,
    so the workflow must name that file to run on this server.
    """

    node_id: str
    class_type: str
    input_name: str
    wanted: str
    available_count: int
    near_match: str | None = None

    @property
    def message(self) -> Message:
        """What is missing, and what the server has instead."""
        missing = message(
            "model_missing",
            node=self.node_id,
            class_type=self.class_type,
            input=self.input_name,
            wanted=self.wanted,
            available=self.available_count,
        )
        return (
            missing if self.near_match is None else message("model_elsewhere", missing=missing, found=self.near_match)
        )


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """What a server lacks for a workflow, and what could not be found out."""

    missing_nodes: tuple[str, ...]
    """Names of node classes."""
    missing_models: tuple[MissingModel, ...]
    unexamined: tuple[Unexamined, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is known to be missing."""
        return not (self.missing_nodes or self.missing_models)

    @property
    def messages(self) -> tuple[Message, ...]:
        """One message for each missing node class and model file."""
        nodes = (message("node_class_missing", name=name) for name in self.missing_nodes)
        return (*nodes, *(model.message for model in self.missing_models))


def required_classes(workflow: Workflow) -> tuple[str, ...]:
    """Return the node classes that the workflow uses, each once."""
    return _classes(workflow.graph)


def compare(
    workflow: Workflow,
    object_info: Mapping[str, Any],
    replacements: Mapping[str, Replacement] | None = None,
    *,
    combos_count: bool = True,
) -> PreflightResult:
    """Return what a server with these node classes lacks. Never raises.

    `object_info` maps a class to its description, the inner object of `GET /object_info/CLASS`. It does not contain
    classes that the server does not have. `combos_count`: the server validates choices in the form `["COMBO", …]`.
    """
    graph = replaced(workflow.graph, replacements or {}, object_info.keys())
    return PreflightResult(
        missing_nodes=tuple(name for name in _classes(graph) if name not in object_info),
        missing_models=tuple(_missing_models(graph, object_info, combos_count=combos_count)),
    )


def _classes(graph: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node["class_type"] for node in graph.values()))


def _missing_models(
    graph: Mapping[str, Any], object_info: Mapping[str, Any], *, combos_count: bool
) -> Iterator[MissingModel]:
    files = cache(lambda class_type, input_name: files_of(object_info.get(class_type), input_name))
    validated = _validated_nodes(graph, object_info)
    for node_id in (node_id for node_id in graph if node_id in validated):
        class_type = graph[node_id]["class_type"]
        description = object_info.get(class_type)
        for input_name, wanted in graph[node_id]["inputs"].items():
            if not combos_count and is_combo(description, input_name):
                continue
            if not isinstance(wanted, str) or not is_file(wanted):
                continue
            listed = files(class_type, input_name)
            if listed.count and wanted not in listed:
                near = listed.near_match(wanted)
                yield MissingModel(node_id, class_type, input_name, wanted, listed.count, near)


def _validated_nodes(graph: Mapping[str, Any], object_info: Mapping[str, Any]) -> set[str]:
    """Return the ids of the output nodes and of the nodes that they depend on. ComfyUI validates no others."""
    waiting = [node_id for node_id, node in graph.items() if may_be_output(object_info.get(node["class_type"]))]
    found: set[str] = set()
    while waiting:
        node_id = waiting.pop()
        if node_id in graph and node_id not in found:
            found.add(node_id)
            waiting += [value[0] for value in graph[node_id]["inputs"].values() if is_link(value)]
    return found


async def run_preflight(client: ComfyClient, workflow: Workflow) -> PreflightResult:
    """Return what the server lacks for the workflow, after one GET for each node class.

    Raises NotAnsweringError or AccessDeniedError. Other answers that are not understood are listed in the result.
    """
    server = NodeClasses(client)
    await server.ask_about(required_classes(workflow))
    replacements = await server.replacements_of(required_classes(workflow))
    result, without_combos = await server.examine(partial(_compared, workflow, server.known, replacements))
    if result != without_combos and not await server.validates_combos():
        result = without_combos
    return PreflightResult(result.missing_nodes, result.missing_models, tuple(server.unexamined))


def _compared(
    workflow: Workflow, object_info: Mapping[str, Any], replacements: Mapping[str, Replacement]
) -> tuple[PreflightResult, PreflightResult]:
    """Return the result, and the one without choices in the form `["COMBO", …]`."""
    return (
        compare(workflow, object_info, replacements),
        compare(workflow, object_info, replacements, combos_count=False),
    )
