"""The process-wide cache, in Inspire-Pack's shape: key → (tag, data). The executor's own cache is another."""

from . import config

cache: dict[str, tuple[str, object]] = dict.fromkeys(config.PRELOAD, ("preloaded", None))

TAG_LIMIT = 50
"""Inspire-Pack's default of entries kept under one tag."""


def missing() -> list[str]:
    """The required keys that are not there, in the order in which they were asked for."""
    return [key for key in config.KEYS if key not in cache]


def listing() -> str:
    """Inspire-Pack's list: three sections of `name: value` lines. The first holds keys, the last tags."""
    keys = "".join(f"{key}: {tag or 'N/A(tag)'}\n" for key, (tag, _) in cache.items())
    settings = "".join(f"{tag}: {TAG_LIMIT}\n" for tag in dict.fromkeys(tag for tag, _ in cache.values()))
    return (
        f"---- [String Key Caches] ----\n{keys}\n"
        f"---- [Number Key Caches] ----\n\n"
        f"---- [TagCache Settings] ----\n{settings}"
    )


def drop(keys: list[str]) -> None:
    """Forget these keys while the executor still holds the nodes: the trap of docs/comfyui.md."""
    for key in keys:
        cache.pop(key, None)
