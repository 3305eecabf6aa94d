"""What comes with comfywarm: workflows and the companion node, in the installed package or in the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def _folder(installed: str, in_checkout: str) -> Path:
    """Return the folder of an installed package, else that of the checkout."""
    folder = _PACKAGE / installed
    return folder if folder.is_dir() else _PACKAGE.parent / in_checkout


WORKFLOWS = _folder("bundled_workflows", "workflows")
COMPANION_NODE = _folder("bundled_node", "comfyui_node")
