"""settings.json: `Settings` or a SettingsError, whose text never contains a value from the environment."""

import json
import secrets
import tempfile
from pathlib import Path

from statemachine.settings import Settings, SettingsError, load_settings, resolve_servers

VALID = {
    "$schema": "settings.schema.json",
    "listen": {"host": "127.0.0.1", "port": 8799, "token": "${TOKEN}"},
    "data_dir": "data",
    "workflows": ["cache_models"],
    "cache_check": {"kind": "auto", "path": "/cache/check"},
    "servers": [
        "http://127.0.0.1:8188",
        {"url": "http://192.0.2.[144-150]:8188", "group": "public"},
        {
            "url": "http://192.0.2.210:[8188-8488:100]",
            "workflows": ["smoke"],
            "headers": {"Authorization": "Bearer ${TOKEN}"},
        },
        {"url": "https://[2001:db8::1]:8188/prefix", "name": "six", "cache_check": {"kind": "text", "path": "/c"}},
    ],
    "timing": {"check_interval_s": 60, "http_timeout_s": 0.5},
    "limits": {"max_warming": 8},
    "logging": {"level": "INFO", "file": None, "rotation": "20 MB", "retention": 3},
    "language": "zh",
}
SEEDS = [json.dumps(VALID).encode(), b'{"servers": ["http://127.0.0.1:8188"]}', b'{"servers": []}', b"[]"]
TOKENS = [
    *(f'"{key}"' for key in VALID), '"url"', '"name"', '"headers"', '"host"', '"port"', '"token"', '"kind"', '"path"',
    "${TOKEN}", "${UNSET}", "$${TOKEN}", "http://", "https://", "[1-9]", "[001-255:3]", "127.0.0.1", "::1", "@", "?",
    "null", "true", "1e308", "-1", "999999999999999999999", '"20 MB"', "../", "\\u0000",
]  # fmt: skip
SECRET = secrets.token_hex(12)
FILE = Path(tempfile.mkdtemp(prefix="fuzz-settings-")) / "settings.json"


def run_input(data: bytes) -> None:
    """Load the input as a settings file."""
    FILE.write_bytes(data)
    settings, error_text = _loaded()
    assert SECRET not in error_text, error_text
    if settings is None:
        assert error_text
        return
    names = [server.name for server in resolve_servers(settings)]
    assert len(names) == len(set(names)), "two servers have the same name"


def _loaded() -> tuple[Settings | None, str]:
    try:
        return load_settings(FILE, {"TOKEN": SECRET}), ""
    except SettingsError as error:
        return None, str(error)
