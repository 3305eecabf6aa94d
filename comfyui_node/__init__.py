"""comfywarm's companion node: makes this ComfyUI tell the truth about its cache, at once.

Copy or link this folder into ComfyUI's `custom_nodes/`. What it answers and sends: docs/node.md. It runs inside
ComfyUI, so it needs nothing besides it, and whatever goes wrong here must never go wrong there: if it cannot start, it
says why in ComfyUI's log and leaves.
"""

from __future__ import annotations

import logging

NODE_CLASS_MAPPINGS: dict[str, type] = {}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {}

try:
    from .install import install
    from .nodes import CLASSES, NAMES

    NODE_CLASS_MAPPINGS.update(CLASSES)
    NODE_DISPLAY_NAME_MAPPINGS.update(NAMES)
    install()
except Exception:
    logging.getLogger("comfywarm").exception("comfywarm's node cannot start; ComfyUI goes on without it")
