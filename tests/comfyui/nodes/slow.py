"""A model that loads slowly, in the recorded transcripts."""

import time
from typing import Any

import comfy.utils  # type: ignore[import-not-found]
from typing_extensions import override

STEPS = 10


class AnyType(str):
    """A socket type that matches every other one: ComfyUI compares types with `!=`."""

    __slots__ = ()

    @override
    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = str.__hash__


ANY = AnyType("*")


class RigSlowModel:
    """Sleeps for `seconds` in ten progress steps. ComfyUI's progress hook raises on an interrupt."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "load"
    CATEGORY = "rig"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"name": ("STRING", {}), "seconds": ("FLOAT", {"default": 1.0, "min": 0.0})}}

    def load(self, name: str, seconds: float) -> tuple[str]:
        if name == "explode":
            raise RuntimeError("CUDA out of memory (rig)")
        if name == "raise":
            raise ValueError("rig: asked to raise")
        progress = comfy.utils.ProgressBar(STEPS)
        for _ in range(STEPS):
            time.sleep(seconds / STEPS)
            progress.update(1)
        return (f"model {name}",)


class RigAfter:
    """Passes `data` on once `after` is there."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "pass_on"
    CATEGORY = "rig"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"data": (ANY,), "after": (ANY,)}}

    def pass_on(self, data: object, after: object) -> tuple[object]:
        return (data,)
