"""This server's configuration, read once from the environment that tests/comfyui/rig.py sets."""

import json
import os
from pathlib import Path
from typing import Any

CACHE_CHECK = os.environ.get("RIG_CACHE_CHECK", "none")
"""A CheckMode of tests/comfyui/rig.py."""

INSPIRE = os.environ.get("RIG_INSPIRE", "stand-in")
"""`pack`: the server has Inspire-Pack itself; `stand-in`: the rig's node and routes; `node`: only the rig's node."""

KEYS: list[str] = json.loads(os.environ.get("RIG_KEYS", "[]"))
"""The keys that the check requires."""

PRELOAD: list[str] = json.loads(os.environ.get("RIG_PRELOAD", "[]"))
"""The keys that are cached at the start, as on a warm server."""


def workflow() -> dict[str, Any]:
    """Return the server's own cache workflow in API format, which the check starts in the mode `start`."""
    graph: dict[str, Any] = json.loads(Path(os.environ["RIG_WORKFLOW"]).read_text(encoding="utf-8"))
    return graph
