"""The routes besides ComfyUI's own: the mission's cache check, Inspire-Pack's list, and the rig's."""

import time
import uuid

import execution
from aiohttp import web
from server import PromptServer

from . import config
from .cache import drop, keys, listing, missing
from .inspire import backend_support

server = PromptServer.instance
asked = 0
started: list[str] = []


async def start_own_workflow() -> None:
    """Queue the server's own workflow as a plug-in does: straight into the PromptQueue, with no client_id."""
    prompt_id = str(uuid.uuid4())
    graph = config.workflow()
    valid, error, outputs, _ = await execution.validate_prompt(prompt_id, graph, None)
    if not valid:
        raise web.HTTPInternalServerError(text=f"rig: the server's own workflow is not valid: {error}")
    number = server.number
    server.number += 1
    extra = {"create_time": int(time.time() * 1000)}
    server.prompt_queue.put((number, prompt_id, graph, extra, outputs, {}))
    started.append(prompt_id)


async def check(request: web.Request) -> web.Response:
    """The mission's texts. In the manner `starts` every call that finds keys missing starts once more."""
    global asked  # noqa: PLW0603
    asked += 1
    absent = missing()
    if not absent:
        return web.Response(text="缓存已加载。")
    if config.CACHE_CHECK == "says":
        return web.Response(text=f"未查询到缓存{','.join(absent)}。")
    await start_own_workflow()
    return web.Response(text=f"未查询到缓存{','.join(absent)}，已经自动在后台执行缓存模型工作流。")


async def inspire_list(request: web.Request) -> web.Response:
    return web.Response(text=listing())


async def inspire_clear(request: web.Request) -> web.Response:
    backend_support.cache.clear()
    return web.Response()


async def rig_drop(request: web.Request) -> web.Response:
    """Answers when it was done, on the clock that all processes of a machine share."""
    drop((await request.json())["keys"])
    return web.json_response({"at": time.monotonic()})


async def rig_put(request: web.Request) -> web.Response:
    for key in (await request.json())["keys"]:
        backend_support.cache[key] = ("put", None)
    return web.json_response({"at": time.monotonic()})


async def rig_spoil(request: web.Request) -> web.Response:
    """Put something that nobody can read in place of the cache; at the next call an empty cache again."""
    spoilt = backend_support.cache is None
    backend_support.cache = backend_support.TaggedCache() if spoilt else None  # type: ignore[assignment]
    return web.Response()


async def rig_state(request: web.Request) -> web.Response:
    asks = list(server.prompt_queue.get_flags(reset=False))
    return web.json_response({"keys": keys(), "checks": asked, "started": started, "asks": asks})


def add() -> None:
    """Give the server the routes it was started with."""
    server.routes.post("/rig/drop")(rig_drop)
    server.routes.post("/rig/put")(rig_put)
    server.routes.post("/rig/spoil")(rig_spoil)
    server.routes.get("/rig/state")(rig_state)
    if config.CACHE_CHECK != "none":
        server.routes.get("/cache/check")(check)
    if config.INSPIRE:
        server.routes.get("/inspire/cache/list")(inspire_list)
        server.routes.get("/inspire/cache/clear")(inspire_clear)
