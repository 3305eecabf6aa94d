"""What a server says of itself in /system_stats, cut down to plain values: answers about the whole fleet carry it."""

from functools import lru_cache
from typing import Any


@lru_cache(maxsize=512)
def kept_once(text: str) -> str:
    """An equal text that was said before, else this one."""
    return text


TEXT_LIMIT = 200
DEVICE_LIMIT = 32
VERSIONS = ("comfyui_version", "python_version", "pytorch_version", "os")
DEVICE_TEXTS = ("name", "type")
DEVICE_FIGURES = ("index", "vram_total", "vram_free")
MAX_FIGURE = 2**63 - 1


def describe_system(stats: dict[str, Any]) -> dict[str, Any]:
    """`version` (ComfyUI's), other versions, and `devices` with their memory in bytes; None for what is not said."""
    system = stats.get("system")
    said = system if isinstance(system, dict) else {}
    texts = {name: _text(said.get(name)) for name in VERSIONS}
    devices = stats.get("devices")
    listed = devices[:DEVICE_LIMIT] if isinstance(devices, list) else []
    return {
        "version": texts.pop("comfyui_version"),
        **texts,
        "devices": [_device(device) for device in listed if isinstance(device, dict)],
    }


def _device(device: dict[str, Any]) -> dict[str, Any]:
    texts = {name: _text(device.get(name)) for name in DEVICE_TEXTS}
    return {**texts, **{name: _figure(device.get(name)) for name in DEVICE_FIGURES}}


def _text(value: object) -> str | None:
    return kept_once(value[:TEXT_LIMIT]) if isinstance(value, str) else None


def _figure(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) <= MAX_FIGURE else None
