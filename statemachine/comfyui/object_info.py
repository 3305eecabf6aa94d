"""The inputs of a node class, as GET /object_info/CLASS describes them.

A description is the inner object of the answer. It may have any form, because plug-ins write it.
"""

from collections.abc import Sequence
from functools import cached_property

FILE_SUFFIXES = frozenset({
    ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft",
    ".engine", ".gguf", ".h5", ".json", ".msgpack", ".npz", ".onnx", ".task", ".tflite", ".trt", ".yaml", ".yml",
})  # fmt: skip
"""Suffixes of model files: ComfyUI's own (folder_paths.py, supported_pt_extensions), then those of plug-ins."""

COMBO = "COMBO"


def is_described(description: object) -> bool:
    """Return whether the description has the class's inputs."""
    match description:
        case {"input": {}}:
            return True
    return False


def may_be_output(description: object) -> bool:
    """Return whether ComfyUI may run nodes of this class for their own sake. Only `false` excludes it."""
    match description:
        case {"output_node": False}:
            return False
    return True


def is_combo(description: object, input_name: str) -> bool:
    """Return whether the input is a choice in the form `["COMBO", {"options": […]}]`."""
    match _spec(description, input_name):
        case [str() as kind, *_]:
            return kind == COMBO
    return False


class ListedFiles:
    """The choices of an input that lists model files. Each question takes linear time once, then constant time."""

    def __init__(self, choices: Sequence[object] = ()) -> None:
        self.count = len(choices)
        self._names = [name for name in choices if isinstance(name, str)]

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def near_match(self, wanted: str) -> str | None:
        """Return the same path with other slashes or another case, else the same file in another folder."""
        return self._by_path.get(normalise(wanted)) or self._by_file_name.get(file_name(wanted))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._names)

    @cached_property
    def _by_path(self) -> dict[str, str]:
        return {normalise(name): name for name in reversed(self._names)}

    @cached_property
    def _by_file_name(self) -> dict[str, str]:
        return {file_name(name): name for name in reversed(self._names)}


def files_of(description: object, input_name: str) -> ListedFiles:
    """Return the choices of an input that lists model files; none for other inputs and for unknown lists.

    ComfyUI describes a choice as `[["a", "b"], {…}]` (execution.py, validate_inputs) or as
    `["COMBO", {"options": ["a", "b"], …}]` (comfy_api/latest/_io.py). A list without a file is unknown: JavaScript may
    fill it in the browser, and the class then accepts values that are not in it (VALIDATE_INPUTS).
    """
    choices = _choices(_spec(description, input_name))
    has_files = any(isinstance(choice, str) and is_file(choice) for choice in choices)
    return ListedFiles(choices if has_files else ())


def is_file(name: str) -> bool:
    """Return whether the name has the suffix of a model file."""
    stem, dot, suffix = file_name(name).rpartition(".")
    return bool(stem) and dot + suffix in FILE_SUFFIXES


def file_name(path: str) -> str:
    """Return the last part of a path, normalised. A path object for each of thousands of choices is slow."""
    return normalise(path).rstrip("/").rpartition("/")[2]


def normalise(path: str) -> str:
    """Return the path with forward slashes and without case."""
    return path.replace("\\", "/").casefold()


def _choices(spec: object) -> Sequence[object]:
    match spec:
        case [_, {**options}, *_] if any(value and _is_filled_elsewhere(name) for name, value in options.items()):
            return ()
        case [list() as choices, *_]:
            return choices
        case ["COMBO", {"options": list() as choices}, *_]:
            return choices
    return ()


def _is_filled_elsewhere(option: object) -> bool:
    """Return whether the option is for uploads, which other folders may hold, or for a list that the browser fetches.

    Examples are `image_upload`, `file_upload` and `remote`.
    """
    return isinstance(option, str) and (option.endswith("upload") or option.startswith("remote"))


def _spec(description: object, input_name: str) -> object:
    """Return the class's declaration of this input, None without one."""
    for group in ("required", "optional"):
        match description:
            case {"input": {**groups}}:
                inputs = groups.get(group)
                if isinstance(inputs, dict) and input_name in inputs:
                    return inputs[input_name]
    return None
