"""The part of GET /system_stats that the API shows for each server."""

import re
from typing import Any

from statemachine.comfyui.server_json import intern_text

TEXT_LIMIT = 200
"""Characters."""
DEVICE_LIMIT = 32
"""More GPUs than one host has."""
VERSIONS = ("comfyui_version", "python_version", "pytorch_version", "os")
DEVICE_TEXTS = ("name", "type")
DEVICE_NUMBERS = ("index", "vram_total", "vram_free")
_RELEASE = re.compile(r"\D{0,20}([0-9]{1,9})\.([0-9]{1,9})(?![0-9])")
MAX_NUMBER = 2**63 - 1
"""The largest signed 64-bit integer. orjson does not serialise integers of more than 64 bits."""


def describe_system(stats: dict[str, Any]) -> dict[str, Any]:
    """Return `version` (ComfyUI's), other versions, and `devices` with their memory in bytes.

    Values of any other type or form are None, and texts and lists have limits, because every answer about the fleet
    contains the result.
    """
    system = stats.get("system")
    known = system if isinstance(system, dict) else {}
    texts = {name: _text(known.get(name)) for name in VERSIONS}
    devices = stats.get("devices")
    listed = devices[:DEVICE_LIMIT] if isinstance(devices, list) else []
    return {
        "version": texts.pop("comfyui_version"),
        **texts,
        "devices": [_device(device) for device in listed if isinstance(device, dict)],
    }


def release_of(version: object) -> tuple[int, int] | None:
    """Return the first two numbers of ComfyUI's version, `v0.3.75` → (0, 3); None for a text of another form."""
    found = _RELEASE.match(version) if isinstance(version, str) else None
    return (int(found[1]), int(found[2])) if found is not None else None


def _device(device: dict[str, Any]) -> dict[str, Any]:
    texts = {name: _text(device.get(name)) for name in DEVICE_TEXTS}
    return {**texts, **{name: _number(device.get(name)) for name in DEVICE_NUMBERS}}


def _text(value: object) -> str | None:
    return intern_text(value[:TEXT_LIMIT]) if isinstance(value, str) else None


def _number(value: object) -> int | None:
    """Return a whole number. Gateways and some plug-ins write it as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_NUMBER:
        return None
    return int(value)
