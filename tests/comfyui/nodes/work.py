"""Node classes for the tests of the companion node: a model that ComfyUI manages, and CPU work."""

from typing import Any

import comfy.model_management  # type: ignore[import-not-found]
import comfy.model_patcher  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]

from .slow import ANY

SIDE = 256


class RigModel(torch.nn.Linear):  # type: ignore[misc]
    """256 KiB of weights."""


class RigTorchModel:
    """Loads a small model through ComfyUI's model management."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "load"
    CATEGORY = "rig"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"name": ("STRING", {})}}

    def load(self, name: str) -> tuple[Any]:
        device = comfy.model_management.get_torch_device()
        patcher = comfy.model_patcher.ModelPatcher(RigModel(SIDE, SIDE, bias=False), device, device)
        comfy.model_management.load_models_gpu([patcher])
        return (patcher,)


class RigWork:
    """Keeps the interpreter busy for `rounds` rounds, which a thread in the same process slows down most."""

    RETURN_TYPES = ()
    FUNCTION = "work"
    CATEGORY = "rig"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"rounds": ("INT", {"max": 1_000_000_000}), "seed": ("INT", {})}}

    def work(self, rounds: int, seed: int) -> tuple[()]:
        for number in range(rounds):
            seed ^= number * number
        return ()
