"""The stand-in for Inspire-Pack: its node that caches a model, and the routes that list and clear the cache."""

from typing import Any

from aiohttp import web
from server import PromptServer

from .inspire import backend_support
from .slow import ANY


class CacheBackendData:
    """Like Inspire-Pack's node of this name: puts `data` into the process-wide cache under `key`."""

    RETURN_TYPES = (ANY,)
    RETURN_NAMES = ("data opt",)
    FUNCTION = "store"
    CATEGORY = "rig"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"key": ("STRING", {}), "tag": ("STRING", {}), "data": (ANY,)}}

    def store(self, key: str, tag: str, data: object) -> tuple[object]:
        backend_support.cache[key] = (tag, data)
        return (data,)


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


async def list_keys(request: web.Request) -> web.Response:
    return web.Response(text=listing())


async def clear(request: web.Request) -> web.Response:
    backend_support.cache.clear()
    return web.Response()


def add_routes() -> None:
    routes = PromptServer.instance.routes
    routes.get("/inspire/cache/list")(list_keys)
    routes.get("/inspire/cache/clear")(clear)
