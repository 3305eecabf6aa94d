"""Cache nodes for workflows on servers without Inspire-Pack."""

from __future__ import annotations

from typing import Any

from . import levels
from .caches import OWN


class AnyType(str):
    """A type name that equals every other, because ComfyUI compares type names as text."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:  # type: ignore[explicit-override]  # `override` needs Python 3.12
        return False


ANY = AnyType("*")
TEXT = ("STRING", {"multiline": False})


class CacheModel:
    """Stores its input `data` under `key`, across prompts. The tag is a note for people."""

    CATEGORY = "comfywarm"
    FUNCTION = "store"
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("data",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"key": TEXT, "tag": TEXT, "data": (ANY,)}}

    @classmethod
    def IS_CHANGED(cls, key: str, **_inputs: Any) -> int:
        """Return a number that changes when the key is lost, so that the executor runs the node again."""
        return OWN.losses(key)

    def store(self, key: str, tag: str, data: Any) -> tuple[Any]:
        if key in {"", "*"}:
            raise ValueError(f"invalid key {key!r}: it must not be empty or *, which DropModel reads as all keys")
        OWN.put(key, data)
        return (data,)


class CachedModel:
    """Outputs the data stored under `key`."""

    CATEGORY = "comfywarm"
    FUNCTION = "load"
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("data",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"key": TEXT}}

    @classmethod
    def IS_CHANGED(cls, key: str) -> int:
        """Return a number that changes when the data is stored or removed."""
        return OWN.changes(key)

    def load(self, key: str) -> tuple[Any]:
        try:
            return (OWN.get(key),)
        except KeyError:
            raise ValueError(f"nothing is cached under key {key!r}; run the workflow that caches it first") from None


class DropModel:
    """Removes `key` from the cache, or every key if it is `*`."""

    CATEGORY = "comfywarm"
    FUNCTION = "drop"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"key": TEXT}, "optional": {"after": (ANY,)}}

    @classmethod
    def IS_CHANGED(cls, **_inputs: Any) -> float:
        """Return NaN, which equals no number, so that the node runs in every prompt."""
        return float("nan")

    def drop(self, key: str, after: Any = None) -> tuple[()]:
        OWN.drop(key)
        return ()


class LoadModel:
    """Outputs its input after ComfyUI has loaded the models in it. comfywarm adds it to its own prompts."""

    CATEGORY = "comfywarm"
    FUNCTION = "load"
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("data",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"data": (ANY,), "warm": (list(levels.WORDS[1:]),)}}

    @classmethod
    def IS_CHANGED(cls, **_inputs: Any) -> float:
        """Return NaN, so that this node and those that use its output run in every prompt."""
        return float("nan")

    def load(self, data: Any, warm: str) -> tuple[Any]:
        levels.load(data, warm)
        return (data,)


CLASSES: dict[str, type] = {
    "CacheModel //comfywarm": CacheModel,
    "CachedModel //comfywarm": CachedModel,
    "DropModel //comfywarm": DropModel,
    "LoadModel //comfywarm": LoadModel,
}
NAMES = {
    "CacheModel //comfywarm": "Cache Model",
    "CachedModel //comfywarm": "Cached Model",
    "DropModel //comfywarm": "Drop Cached Model",
    "LoadModel //comfywarm": "Load Model into Memory",
}
