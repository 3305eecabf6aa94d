"""Node classes with choices: lists that JavaScript fills, lists of files, and a class that replaces an older one."""

from contextlib import suppress
from typing import Any

from server import PromptServer
from typing_extensions import override

from .slow import ANY


class RigFileChoice:
    """A choice of files that the server validates."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "load"
    CATEGORY = "rig"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"file": (["installed.safetensors"],)}}

    def load(self, file: str) -> tuple[str]:
        return (f"model {file}",)


class RigComboChoice(RigFileChoice):
    """The same in the newer form, which ComfyUI validates since 0.8."""

    @classmethod
    @override
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"file": ("COMBO", {"options": ["installed.safetensors"]})}}


class RigFilledChoice(RigFileChoice):
    """A choice without values, which the class validates itself, as nodes do whose JavaScript fills the list."""

    @classmethod
    @override
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"file": ([], {"tooltip": "filled by JavaScript"})}}

    @classmethod
    def VALIDATE_INPUTS(cls, file: str) -> bool:  # noqa: N802 - ComfyUI's name
        return file.endswith(".safetensors")


class RigPlaceholderChoice(RigFilledChoice):
    """The same with a value that stands for none."""

    @classmethod
    @override
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"file": (["None"],)}}


class Replacement:
    """What ComfyUI's manager of replacements reads."""

    old_node_id = "RigOldModel"
    new_node_id = "RigSlowModel"
    input_mapping = [  # noqa: RUF012 - ComfyUI's form
        {"new_id": "name", "old_id": "old_name"},
        {"new_id": "seconds", "set_value": 0.1},
    ]
    output_mapping = None

    def as_dict(self) -> dict[str, Any]:
        return {"new_node_id": self.new_node_id, "old_node_id": self.old_node_id, "input_mapping": self.input_mapping}


def register_replacement() -> None:
    """Register the replacement; ComfyUI before 0.14 has no manager for it."""
    with suppress(AttributeError):
        PromptServer.instance.node_replace_manager.register(Replacement())
