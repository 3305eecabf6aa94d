"""Whether a server can run a workflow at all: does it have the node classes and the model files?

Asked before a warm-up is tried, so that an operator reads "pulid_flux.safetensors is not there" and not
"refused" a hundred times. It says only what `GET /object_info/{class}` proves; the rest is the server's own
validation. An answer that is not understood proves nothing, so nothing here raises.
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
"""How the files end that servers list: ComfyUI's own (folder_paths.py, supported_pt_extensions), then others in use."""

UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload", "file_upload", "mesh_upload")
"""Options of inputs that take a user's file: it may lie in a folder that is not listed, and yet be there."""


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A file that a node wants and the server does not offer.

    `near_match` is what the server offers under almost this name: other slashes, other case or another folder.
    ComfyUI compares exactly, so that is no match; but it is what the workflow should say for this server.
    """

    node_id: str
    class_type: str
    input_name: str
    wanted: str
    available_count: int
    near_match: str | None = None

    @property
    def message(self) -> Message:
        """What is missing, and what the server has in its place."""
        place = {"node": self.node_id, "class_type": self.class_type, "input": self.input_name, "wanted": self.wanted}
        missing = Message("model_missing_none", place)
        if self.available_count:
            missing = Message("model_missing", {**place, "available": self.available_count})
        near = self.near_match
        return missing if near is None else message("model_elsewhere", missing=missing, found=near)


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a server lacks for a workflow; both empty when nothing is known to be lacking."""

    missing_nodes: tuple[str, ...]
    """Names of classes."""
    missing_models: tuple[MissingModel, ...]

    @property
    def fits(self) -> bool:
        """Whether a try makes sense."""
        return not (self.missing_nodes or self.missing_models)

    @property
    def messages(self) -> tuple[Message, ...]:
        """One message for each missing node class and model file."""
        nodes = (message("node_class_missing", name=name) for name in self.missing_nodes)
        return (*nodes, *(model.message for model in self.missing_models))


def required_classes(workflow: Workflow) -> tuple[str, ...]:
    """The node classes that the workflow uses, each once: what to ask /object_info for."""
    return tuple(dict.fromkeys(node["class_type"] for node in workflow.graph.values()))


def compare(workflow: Workflow, object_info: Mapping[str, Any]) -> Fitness:
    """What is lacking on a server with these classes.

    `object_info` maps a class to its description, the inner object of `GET /object_info/{class}`; a class for
    which the server answered `{}` is left out. Never raises, whatever the descriptions are.
    """
    missing_nodes = tuple(name for name in required_classes(workflow) if name not in object_info)
    return Fitness(missing_nodes=missing_nodes, missing_models=tuple(_missing_models(workflow, object_info)))


def _missing_models(workflow: Workflow, object_info: Mapping[str, Any]) -> Iterator[MissingModel]:
    for node_id, node in workflow.graph.items():
        class_type = node["class_type"]
        for input_name, wanted in node["inputs"].items():
            choices = _choices(object_info.get(class_type), input_name)
            if choices is not None and isinstance(wanted, str) and _is_missing(wanted, choices):
                near = _near_match(wanted, choices)
                yield MissingModel(node_id, class_type, input_name, wanted, len(choices), near)


def _is_missing(wanted: str, choices: Sequence[object]) -> bool:
    """A word that is not listed ("euler_x") is left to the server: it may accept more than it lists."""
    looks_like_a_file = PurePosixPath(_plain(wanted)).suffix in FILE_SUFFIXES
    return wanted not in choices and (looks_like_a_file or not choices)


def _choices(description: object, input_name: str) -> Sequence[object] | None:
    """The values from which an input is chosen; None where it is no choice, or the list is not known.

    Two shapes are in use: `[["a", "b"], {…}]` and `["COMBO", {"options": ["a", "b"], …}]` (execution.py,
    validate_inputs). The list of a `remote` choice is fetched by the browser: it is not known here.
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
    """How the class declares this input; None if it does not."""
    for group in ("required", "optional"):
        match description:
            case {"input": {**groups}} if isinstance(inputs := groups.get(group), Mapping) and input_name in inputs:
                return inputs[input_name]
    return None


def _near_match(wanted: str, choices: Sequence[object]) -> str | None:
    """The same path but for slashes and case, else the same file in another folder."""
    names = [choice for choice in choices if isinstance(choice, str)]
    same_path = (name for name in names if _plain(name) == _plain(wanted))
    same_file = (name for name in names if _file_name(name) == _file_name(wanted))
    return next(same_path, None) or next(same_file, None)


def _plain(path: str) -> str:
    return path.replace("\\", "/").casefold()


def _file_name(path: str) -> str:
    return PurePosixPath(_plain(path)).name


NOTHING_KNOWN: Mapping[str, Any] = {}
"""The description of a class whose answer was not understood: it may well be there."""


async def fitness(client: ComfyClient, workflow: Workflow) -> Fitness:
    """What the server lacks for the workflow. Changes nothing there; one small GET for each class, one after another.

    Raises NotAnsweringError or AccessDeniedError; an answer that is not understood proves nothing and is passed over.
    """
    known = {name: await _description(client, name) for name in required_classes(workflow)}
    return compare(workflow, {name: description for name, description in known.items() if description is not None})


async def _description(client: ComfyClient, class_type: str) -> Mapping[str, Any] | None:
    try:
        return await client.object_info(class_type)
    except (AbsentError, NotUnderstoodError):
        return NOTHING_KNOWN
