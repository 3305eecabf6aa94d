"""What this server is to be, read once from the environment that tests/comfyui/rig.py starts it with."""

import json
import os
from pathlib import Path
from typing import Any

CACHE_CHECK = os.environ.get("RIG_CACHE_CHECK", "none")
"""`says`: the check says what is missing. `starts`: it also starts the workflow. `none`: no such route."""

INSPIRE = os.environ.get("RIG_INSPIRE", "1") == "1"
"""Whether the server answers Inspire-Pack's routes."""

KEYS: list[str] = json.loads(os.environ.get("RIG_KEYS", "[]"))
"""The keys that must be in the cache before the check says that everything is loaded."""

PRELOAD: list[str] = json.loads(os.environ.get("RIG_PRELOAD", "[]"))
"""The keys that are in the cache from the start, as on a server that somebody warmed before."""


def workflow() -> dict[str, Any]:
    """The server's own cache workflow (API format), which the check starts in the manner `starts`."""
    graph: dict[str, Any] = json.loads(Path(os.environ["RIG_WORKFLOW"]).read_text(encoding="utf-8"))
    return graph
