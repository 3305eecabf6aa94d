"""The preflight: whether a server has the node classes and model files of a workflow.

It runs before the first warm-up, so that an operator reads which file is missing instead of a refused prompt. It
reports only what `GET /object_info/CLASS` shows; the server validates the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import AbsentError, NotUnderstoodError
from statemachine.comfyui.workflow import Workflow
from statemachine.core.messages import Message, message

FILE_SUFFIXES = frozenset({
    ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft",
    ".engine", ".gguf", ".h5", ".json", ".msgpack", ".npz", ".onnx", ".task", ".tflite", ".trt", ".yaml", ".yml",
})  # fmt: skip
"""Suffixes of model files: ComfyUI's own (folder_paths.py, supported_pt_extensions), then those of plug-ins."""

UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload", "file_upload", "mesh_upload")
"""Options of inputs for uploaded files. Such a file may exist in a folder that the class does not list."""

NOTHING_KNOWN: Mapping[str, Any] = {}
"""The description of a class whose answer was not understood. The class counts as present."""


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
        place = {"node": self.node_id, "class_type": self.class_type, "input": self.input_name, "wanted": self.wanted}
        missing = Message("model_missing_none", place)
        if self.available_count:
            missing = Message("model_missing", {**place, "available": self.available_count})
        near = self.near_match
        return missing if near is None else message("model_elsewhere", missing=missing, found=near)


@dataclass(frozen=True, slots=True)
class PreflightResult:
    """What a server lacks for a workflow."""

    missing_nodes: tuple[str, ...]
    """Names of node classes."""
    missing_models: tuple[MissingModel, ...]

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
    return tuple(dict.fromkeys(node["class_type"] for node in workflow.graph.values()))


def compare(workflow: Workflow, object_info: Mapping[str, Any]) -> PreflightResult:
    """Return what a server with these node classes lacks. Never raises.

    `object_info` maps a class to its description, the inner object of `GET /object_info/CLASS`. It does not contain
    classes that the server does not have.
    """
    missing_nodes = tuple(name for name in required_classes(workflow) if name not in object_info)
    return PreflightResult(missing_nodes=missing_nodes, missing_models=tuple(_missing_models(workflow, object_info)))


def _missing_models(workflow: Workflow, object_info: Mapping[str, Any]) -> Iterator[MissingModel]:
    for node_id, node in workflow.graph.items():
        class_type = node["class_type"]
        for input_name, wanted in node["inputs"].items():
            choices = _choices(object_info.get(class_type), input_name)
            if choices is not None and isinstance(wanted, str) and _is_missing(wanted, choices):
                near = _near_match(wanted, choices)
                yield MissingModel(node_id, class_type, input_name, wanted, len(choices), near)


def _is_missing(wanted: str, choices: Sequence[object]) -> bool:
    """Return whether the choice is missing. A server may accept words that it does not list, such as "euler_x"."""
    is_file = PurePosixPath(_normalise(wanted)).suffix in FILE_SUFFIXES
    return wanted not in choices and (is_file or not choices)


def _choices(description: object, input_name: str) -> Sequence[object] | None:
    """Return the values of an input that is a choice; None for other inputs and unknown lists.

    ComfyUI describes a choice as `[["a", "b"], {…}]` (execution.py, validate_inputs) or as
    `["COMBO", {"options": ["a", "b"], …}]` (comfy/comfy_types/node_typing.py). The browser fetches the list of a
    `remote` choice, so it is unknown here.
    """
    match _spec(description, input_name):
        case [_, {**options}, *_] if any(options.get(name) for name in (*UPLOADS, "remote")):
            return None
        case [list() as choices, *_]:
            return choices
        case ["COMBO", {"options": list() as choices}, *_]:
            return choices
    return None


def _spec(description: object, input_name: str) -> object:
    """Return the class's declaration of this input, None without one."""
    for group in ("required", "optional"):
        match description:
            case {"input": {**groups}} if isinstance(inputs := groups.get(group), Mapping) and input_name in inputs:
                return inputs[input_name]
    return None


def _near_match(wanted: str, choices: Sequence[object]) -> str | None:
    """Return the same path with other slashes or another case, else the same file in another folder."""
    names = [choice for choice in choices if isinstance(choice, str)]
    same_path = (name for name in names if _normalise(name) == _normalise(wanted))
    same_file = (name for name in names if _file_name(name) == _file_name(wanted))
    return next(same_path, None) or next(same_file, None)


def _normalise(path: str) -> str:
    """Return the path with forward slashes and without case."""
    return path.replace("\\", "/").casefold()


def _file_name(path: str) -> str:
    return PurePosixPath(_normalise(path)).name


async def run_preflight(client: ComfyClient, workflow: Workflow) -> PreflightResult:
    """Return what the server lacks for the workflow, after one GET for each node class.

    Raises NotAnsweringError or AccessDeniedError. Answers that are not understood are ignored.
    """
    known = {name: await _description(client, name) for name in required_classes(workflow)}
    return compare(workflow, {name: description for name, description in known.items() if description is not None})


async def _description(client: ComfyClient, class_type: str) -> Mapping[str, Any] | None:
    try:
        return await client.object_info(class_type)
    except (AbsentError, NotUnderstoodError):
        return NOTHING_KNOWN
