"""Node classes that end the server's process, or block what depends on them."""

import os
import signal
import time
from typing import Any

from comfy_execution.graph import ExecutionBlocker  # type: ignore[import-not-found]

from .slow import ANY


class RigEndsServer:
    """Ends the process with SIGKILL after `seconds`, as the kernel does when memory runs out."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "load"
    CATEGORY = "rig"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"seconds": ("FLOAT", {"default": 1.0, "min": 0.0})}}

    def load(self, seconds: float) -> tuple[str]:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)
        return ("never",)


class RigBlocks:
    """Blocks the nodes that depend on it, with a message for the browser."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "block"
    CATEGORY = "rig"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"text": ("STRING", {})}}

    def block(self, text: str) -> tuple[Any]:
        return (ExecutionBlocker(text),)


class RigEndsWorker:
    """Ends the thread in which ComfyUI runs prompts after `seconds`; HTTP goes on answering."""

    RETURN_TYPES = (ANY,)
    FUNCTION = "load"
    CATEGORY = "rig"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"seconds": ("FLOAT", {"default": 1.0, "min": 0.0})}}

    def load(self, seconds: float) -> tuple[str]:
        time.sleep(seconds)
        raise SystemExit
