"""Access to the stand-in for Inspire-Pack's cache, for the rig's routes."""

from . import config
from .inspire import backend_support


def preload() -> None:
    for key in config.PRELOAD:
        backend_support.cache[key] = ("preloaded", None)


def keys() -> list[str]:
    return [key for key, _ in backend_support.cache.items()]


def missing() -> list[str]:
    """Return the required keys that are not cached, in the order of the setting."""
    return [key for key in config.KEYS if key not in backend_support.cache]


def listing() -> str:
    """Return Inspire-Pack's list: three sections of `name: value` lines, the first with keys, the last with tags."""
    entries = dict(backend_support.cache.items())
    lines = "".join(f"{key}: {tag or 'N/A(tag)'}\n" for key, (tag, _) in entries.items())
    settings = "".join(
        f"{tag}: {backend_support.TAG_LIMIT}\n" for tag in dict.fromkeys(tag for tag, _ in entries.values())
    )
    return (
        f"---- [String Key Caches] ----\n{lines}\n"
        f"---- [Number Key Caches] ----\n\n"
        f"---- [TagCache Settings] ----\n{settings}"
    )


def drop(names: list[str]) -> None:
    """Drop these keys while the executor still caches their nodes ("Success without loading" in docs/comfyui.md)."""
    if names == ["*"]:
        backend_support.replace_by_empty()
        return
    for key in names:
        if key in backend_support.cache:
            del backend_support.cache[key]
