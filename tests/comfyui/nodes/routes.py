"""Routes added to ComfyUI's: the cache check of a plug-in, and the rig's own."""

import inspect
import time
import uuid
from typing import Any

import comfy.model_management  # type: ignore[import-not-found]
import execution
from aiohttp import web
from server import PromptServer

from . import config
from .cache import drop, keys, missing, put, replace_unreadable

server = PromptServer.instance
check_count = 0
started: list[str] = []
has_sensitive_data = hasattr(execution, "SENSITIVE_EXTRA_DATA_KEYS")
"""Whether an item of the queue has a sixth part: data that is kept out of answers."""


async def start_own_workflow() -> None:
    """Put the server's own workflow directly into the PromptQueue without a client_id, as a plug-in does."""
    prompt_id = str(uuid.uuid4())
    graph = config.workflow()
    valid, error, outputs, _ = await validated(prompt_id, graph)
    if not valid:
        raise web.HTTPInternalServerError(text=f"rig: the server's own workflow is invalid: {error}")
    number = server.number
    server.number += 1
    extra = {"create_time": int(time.time() * 1000)}
    item = (number, prompt_id, graph, extra, outputs)
    server.prompt_queue.put((*item, {}) if has_sensitive_data else item)
    started.append(prompt_id)


async def validated(prompt_id: str, graph: dict[str, Any]) -> tuple[bool, Any, list[str], Any]:
    """Validate as the version of ComfyUI does: older ones take only the graph, and answer at once."""
    parameters = inspect.signature(execution.validate_prompt).parameters
    answer = execution.validate_prompt(*(graph,) if len(parameters) == 1 else (prompt_id, graph, None))
    result: tuple[bool, Any, list[str], Any] = await answer if inspect.isawaitable(answer) else answer
    return result


async def check(request: web.Request) -> web.Response:
    """Answer with a plug-in's texts. In the mode `start`, every call that finds keys missing starts the workflow."""
    global check_count  # noqa: PLW0603
    check_count += 1
    absent = missing()
    if not absent:
        return web.Response(text="缓存已加载。")
    if config.CACHE_CHECK == "report":
        return web.Response(text=f"未查询到缓存{','.join(absent)}。")
    await start_own_workflow()
    return web.Response(text=f"未查询到缓存{','.join(absent)}，已经自动在后台执行缓存模型工作流。")


async def rig_drop(request: web.Request) -> web.Response:
    """Drop keys. The answer has the time of the change on the monotonic clock that all processes share."""
    drop((await request.json())["keys"])
    return web.json_response({"at": time.monotonic()})


async def rig_put(request: web.Request) -> web.Response:
    put((await request.json())["keys"])
    return web.json_response({"at": time.monotonic()})


async def rig_break(request: web.Request) -> web.Response:
    """Replace the cache by None, which cannot be read; at the next call by an empty cache."""
    replace_unreadable()
    return web.Response()


async def rig_unload(request: web.Request) -> web.Response:
    """Unload every model as ComfyUI does for POST /free, but at once: its worker does so before its next prompt."""
    comfy.model_management.unload_all_models()
    return web.Response()


async def rig_state(request: web.Request) -> web.Response:
    flags = list(server.prompt_queue.get_flags(reset=False))
    return web.json_response({"keys": keys(), "checks": check_count, "started": started, "flags": flags})


def add() -> None:
    """Add the routes that the configuration asks for."""
    server.routes.post("/rig/drop")(rig_drop)
    server.routes.post("/rig/put")(rig_put)
    server.routes.post("/rig/break")(rig_break)
    server.routes.post("/rig/unload")(rig_unload)
    server.routes.get("/rig/state")(rig_state)
    if config.CACHE_CHECK != "none":
        server.routes.get("/cache/check")(check)
