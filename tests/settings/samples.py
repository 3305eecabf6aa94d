"""Settings and helpers that several tests use."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.settings import Problem, Settings, SettingsError, parse_settings

BASE_DIR = Path("/etc/comfywarm")

# Operators rely on every key of this example.
CONTRACT_EXAMPLE: dict[str, Any] = {
    "$schema": "settings.schema.json",
    "listen": {"host": "127.0.0.1", "port": 8799, "token": None},
    "data_dir": "data",
    "workflows_dir": "workflows",
    "language": "en",
    "workflows": ["cache_models"],
    "cache_check": {"kind": "auto", "path": "/cache/check"},
    "servers": [
        "http://127.0.0.1:8188",
        {"url": "http://192.0.2.[144-150]:8188", "group": "public"},
        {
            "url": "http://192.0.2.210:[8188-8488:100]",
            "group": "lab",
            "workflows": ["cache_models"],
            "cache_check": {"kind": "text", "path": "/cache/check"},
            "headers": {"Authorization": "Bearer ${COMFY_TOKEN}"},
        },
    ],
    "timing": {
        "check_interval_s": 60,
        "auto_recheck_s": 5,
        "http_timeout_s": 10,
        "busy_wait_s": 600,
        "warm_timeout_s": 1800,
    },
    "limits": {"max_warming": 8, "max_warming_per_host": 2},
}


def parse(environ: dict[str, str] | None = None, /, **keys: object) -> Settings:
    """Parse settings of the given keys, with one server unless `servers` is given."""
    return parse_settings({"servers": ["http://192.0.2.1:8188"], **keys}, BASE_DIR, environ or {})


def problems(environ: dict[str, str] | None = None, /, **keys: object) -> dict[str, Problem]:
    """Return the problems of the given keys, by key path."""
    with pytest.raises(SettingsError) as caught:
        parse(environ, **keys)
    return {problem.path: problem for problem in caught.value.problems}
