"""comfywarm's companion node: reports what this ComfyUI's cache holds, and every change to it.

Copy or link this folder into ComfyUI's `custom_nodes/`. docs/node.md describes the route and the frames. The package
runs inside ComfyUI's process and needs nothing else. It must never break ComfyUI: if it cannot start, it logs the
reason and registers no nodes.
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
    logging.getLogger("comfywarm").exception("the comfywarm node cannot start; ComfyUI continues without it")
