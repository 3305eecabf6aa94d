"""The nodes that people put into workflows, where Inspire-Pack is not installed."""

from __future__ import annotations

from typing import Any

from .caches import OWN


class AnyType(str):
    """ComfyUI compares types as texts: this one is equal to each of them."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:  # type: ignore[explicit-override]  # it came with Python 3.12
        return False


ANY = AnyType("*")
TEXT = ("STRING", {"multiline": False})


class CacheModel:
    """Keeps what is linked to `data` under `key`, across prompts. The tag says to people what it is."""

    CATEGORY = "comfywarm"
    FUNCTION = "keep"
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("data",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """See ComfyUI."""
        return {"required": {"key": TEXT, "tag": TEXT, "data": (ANY,)}}

    @classmethod
    def IS_CHANGED(cls, key: str, **_inputs: Any) -> int:
        """The executor would take this node from its own cache although the key has been lost since: run it then."""
        return OWN.losses(key)

    def keep(self, key: str, tag: str, data: Any) -> tuple[Any]:
        """See ComfyUI."""
        if key in {"", "*"}:
            raise ValueError(f"{key!r} cannot be the key of a model: DropModel takes * as all keys")
        OWN.put(key, tag, data)
        return (data,)


class CachedModel:
    """Gives what is kept under `key`."""

    CATEGORY = "comfywarm"
    FUNCTION = "give"
    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("data",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """See ComfyUI."""
        return {"required": {"key": TEXT}}

    @classmethod
    def IS_CHANGED(cls, key: str) -> int:
        """What is kept may have been lost, or replaced."""
        return OWN.changes(key)

    def give(self, key: str) -> tuple[Any]:
        """See ComfyUI."""
        try:
            return (OWN.get(key),)
        except KeyError:
            raise ValueError(
                f"nothing is cached under the key {key!r}: run the workflow that caches it first"
            ) from None


class DropModel:
    """Forgets `key`; `*` forgets all."""

    CATEGORY = "comfywarm"
    FUNCTION = "drop"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """See ComfyUI."""
        return {"required": {"key": TEXT}, "optional": {"after": (ANY,)}}

    @classmethod
    def IS_CHANGED(cls, **_inputs: Any) -> float:
        """Whoever queues it wants it to run: no number is equal to NaN."""
        return float("nan")

    def drop(self, key: str, after: Any = None) -> tuple[()]:
        """See ComfyUI."""
        OWN.drop(key)
        return ()


CLASSES: dict[str, type] = {
    "CacheModel //comfywarm": CacheModel,
    "CachedModel //comfywarm": CachedModel,
    "DropModel //comfywarm": DropModel,
}
NAMES = {
    "CacheModel //comfywarm": "Cache Model",
    "CachedModel //comfywarm": "Cached Model",
    "DropModel //comfywarm": "Drop Cached Model",
}
