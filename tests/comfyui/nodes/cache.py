"""Access to the cache of Inspire-Pack or of the stand-in for it, for the rig's routes."""

import sys
from typing import Any

from . import config


def inspire() -> Any:
    """Return the module whose `cache` has the keys, of the pack or of the stand-in: a server has one of them."""
    return next(module for name, module in sys.modules.items() if name.endswith("inspire.backend_support"))


def preload() -> None:
    for key in config.PRELOAD:
        inspire().cache[key] = ("preloaded", None)


def keys() -> list[str]:
    return [key for key, _ in inspire().cache.items()]


def missing() -> list[str]:
    """Return the required keys that are not cached, in the order of the setting."""
    return [key for key in config.KEYS if key not in inspire().cache]


def put(names: list[str]) -> None:
    for key in names:
        inspire().cache[key] = ("put", None)


def replace_unreadable() -> None:
    """Replace the cache by None, which cannot be read; at the next call by an empty cache."""
    module = inspire()
    module.cache = module.TaggedCache() if module.cache is None else None


def drop(names: list[str]) -> None:
    """Drop these keys while the executor still caches their nodes ("Success without loading" in docs/comfyui.md)."""
    if names == ["*"]:
        inspire().replace_by_empty()
        return
    for key in names:
        if key in inspire().cache:
            del inspire().cache[key]
