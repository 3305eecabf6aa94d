"""Node classes for the companion node's tests: a model that ComfyUI's management loads, and work for the processor."""

from typing import Any

import comfy.model_management  # type: ignore[import-not-found]
import comfy.model_patcher  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]

from .slow import ANY

SIDE = 256


class RigModel(torch.nn.Linear):  # type: ignore[misc]
    """A quarter of a megabyte of weights."""


class RigTorchModel:
    """Has ComfyUI's model management load a small model."""

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
    """Keeps the interpreter busy with `rounds` rounds: what a watcher in the same process disturbs most."""

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
