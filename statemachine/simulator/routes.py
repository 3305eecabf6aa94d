"""The HTTP routes of a simulated ComfyUI: one function per method and path.

Bodies are written with `json.dumps`, as aiohttp's `json_response` does, so that their lengths match ComfyUI's.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from statemachine.simulator.http import Request, Response
from statemachine.simulator.prompt_queue import Item
from statemachine.simulator.server import ServerModel
from statemachine.simulator.validation import validate_prompt

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
GIB = 1024**3


def respond(server: ServerModel, request: Request) -> Response:
    """Respond to a request; an exception becomes a bare 500, as in ComfyUI [transcript 07]."""
    if not is_authorized(server, request.headers, request.query):
        return _json({"error": "Authentication required."}, HTTPStatus.UNAUTHORIZED)
    path = request.path.removeprefix("/api") or "/"
    try:
        return _find(request.method, path)(server, request._replace(path=path))
    except (TypeError, ValueError, AttributeError, KeyError):
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return _text("500 Internal Server Error\n\nServer got itself in trouble", status=status)


def is_authorized(server: ServerModel, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Check the token as ComfyUI-Login does; a server without a token admits all clients."""
    token = server.profile.token
    return token is None or headers.get("Authorization") == f"Bearer {token}" or query.get("token") == token


def _find(method: str, path: str) -> "Route":
    for folder in ("/history/", "/object_info/"):
        if path.startswith(folder):
            path = f"{folder}*"
    return ROUTES.get((method, path), _not_found)


def _json(value: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(int(status), JSON, json.dumps(value).encode())


def _text(text: str, content_type: str = TEXT, status: int = HTTPStatus.OK) -> Response:
    return Response(int(status), content_type, text.encode())


EMPTY = Response(200, None, b"")


def _not_found(_server: ServerModel, _request: Request) -> Response:
    """Respond as ComfyUI's static folder does for a missing file."""
    return Response(int(HTTPStatus.NOT_FOUND), "application/octet-stream", b"")


def _post_prompt(server: ServerModel, request: Request) -> Response:
    """Queue a prompt. Each body that is a JSON object or a list takes a number, even if it is refused."""
    body = None
    prompt_id = None
    response = None
    try:
        body = request.json()
        number = _number(server, body)
        prompt_id = str(body["prompt_id"] if "prompt_id" in body else server.new_prompt_id())
        response = _submit(server, body, prompt_id, number)
    finally:
        status = response.status if response else int(HTTPStatus.INTERNAL_SERVER_ERROR)
        server.record_post(prompt_id if status == HTTPStatus.OK else None, status, body)
    return response


def _number(server: ServerModel, body: dict[str, Any]) -> float:
    if "number" in body:
        return float(body["number"])
    number = server.process.take_number()
    return -number if "front" in body and body["front"] else number  # noqa: RUF019 - a list has no get


def _submit(server: ServerModel, body: dict[str, Any], prompt_id: str, number: float) -> Response:
    if "prompt" not in body:
        missing = {"type": "no_prompt", "message": "No prompt provided", "details": "No prompt provided"}
        return _json({"error": {**missing, "extra_info": {}}, "node_errors": {}}, HTTPStatus.BAD_REQUEST)
    result = validate_prompt(body["prompt"], server.process.classes)
    if result.error:
        refusal = {"error": result.error, "node_errors": result.node_errors}
        return _json(refusal, HTTPStatus.BAD_REQUEST)
    extra = dict(body.get("extra_data", {}))
    if "client_id" in body:
        extra["client_id"] = body["client_id"]
    extra["create_time"] = server.process.now_ms()
    server.process.queue.put(Item(number, prompt_id, body["prompt"], extra, result.outputs))
    return _json({"prompt_id": prompt_id, "number": number, "node_errors": result.node_errors})


def _get_prompt(server: ServerModel, _request: Request) -> Response:
    return _json({"exec_info": {"queue_remaining": server.process.queue.remaining}})


def _get_queue(server: ServerModel, _request: Request) -> Response:
    queue = server.process.queue
    running = [queue.running.as_json()] if queue.running else []
    pending = [item.as_json() for item in queue.pending] if server.profile.lists_pending else []
    return _json({"queue_running": running, "queue_pending": pending})


def _post_queue(server: ServerModel, request: Request) -> Response:
    """Clear or delete prompts; ignore a workflow. The response is an empty 200 [transcript 07]."""
    body = request.json()
    if "clear" in body and body["clear"]:  # noqa: RUF019 - a list has no get
        server.process.queue.clear()
    for prompt_id in body["delete"] if "delete" in body else []:  # noqa: SIM401 - a list has no get
        server.process.queue.delete(prompt_id)
    return EMPTY


def _get_history(server: ServerModel, request: Request) -> Response:
    max_items = request.query.get("max_items")
    return _json(server.process.queue.newest(int(max_items) if max_items is not None else None))


def _get_history_entry(server: ServerModel, request: Request) -> Response:
    prompt_id = request.path.removeprefix("/history/")
    entry = server.process.queue.history.get(prompt_id)
    return _json({prompt_id: entry} if entry else {})


def _post_interrupt(server: ServerModel, request: Request) -> Response:
    """Interrupt the given prompt, or any running one if no prompt_id is given."""
    wanted = request.json().get("prompt_id") if request.body else None
    running = server.process.queue.running
    if running and wanted in {None, running.prompt_id}:
        server.interrupt()
    return EMPTY


def _post_free(server: ServerModel, request: Request) -> Response:
    body = request.json()
    server.process.ask_to_free(models=bool(body.get("unload_models")), executor_cache=bool(body.get("free_memory")))
    return EMPTY


def _get_system_stats(_server: ServerModel, _request: Request) -> Response:
    system = {
        "os": "posix",
        "ram_total": 128 * GIB,
        "ram_free": 96 * GIB,
        "comfyui_version": "0.3.75",
        "required_frontend_version": "1.32.9",
        "python_version": "3.12.3 (main) [GCC 13.2.0]",
        "pytorch_version": "2.9.1+cu128",
        "embedded_python": False,
        "argv": ["main.py", "--listen"],
    }
    memory = {"vram_total": 24 * GIB, "vram_free": 20 * GIB, "torch_vram_total": 2 * GIB, "torch_vram_free": GIB}
    device = {"name": "cuda:0 Simulated GPU : cudaMallocAsync", "type": "cuda", "index": 0, **memory}
    return _json({"system": system, "devices": [device]})


def _get_object_info(server: ServerModel, _request: Request) -> Response:
    return _json({name: node.info() for name, node in server.process.classes.items()})


def _get_one_object_info(server: ServerModel, request: Request) -> Response:
    name = request.path.removeprefix("/object_info/")
    return _json({name: server.process.classes[name].info()} if name in server.process.classes else {})


def _get_features(_server: ServerModel, _request: Request) -> Response:
    return _json({"supports_preview_metadata": True, "max_upload_size": 104_857_600})


def _get_cache_check(server: ServerModel, request: Request) -> Response:
    """Respond as comfywarm's node if it is installed, else as the plug-in that the profile has."""
    if server.process.companion:
        accept = request.headers.get("Accept", "")
        status, text, is_json = server.process.companion.check(request.query, accept, server.start_own_workflow)
        return _text(text, JSON if is_json else TEXT, HTTPStatus(status))
    check = server.profile.text_check
    if check == "absent":
        return _not_found(server, request)
    if check == "html":
        return _text("<!DOCTYPE html><html><head><title>Portal</title></head><body></body></html>", HTML)
    missing = server.missing_keys()
    if not missing:
        return _text("缓存已加载。")
    if check == "reports":
        return _text(f"未查询到缓存{','.join(missing)}。")
    server.start_own_workflow()
    return _text(f"未查询到缓存{','.join(missing)}，已经自动在后台执行缓存模型工作流。")


def _get_inspire_list(server: ServerModel, request: Request) -> Response:
    """List the keys as Inspire-Pack's `ShowCachedInfo.get_data` does."""
    if not server.profile.inspire:
        return _not_found(server, request)
    lines = "".join(f"{key}: {tag or 'N/A(tag)'}\n" for key, tag in server.keys.items())
    limits = "".join(f"{tag}: 50\n" for tag in dict.fromkeys(server.keys.values()))
    sections = ("---- [Number Key Caches] ----\n", "---- [TagCache Settings] ----\n" + limits)
    return _text("\n".join(("---- [String Key Caches] ----\n" + lines, *sections)))


def _get_inspire_clear(server: ServerModel, request: Request) -> Response:
    if not server.profile.inspire:
        return _not_found(server, request)
    server.process.clear_inspire()
    return EMPTY


Route = Callable[[ServerModel, Request], Response]
ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "/prompt"): _post_prompt,
    ("GET", "/prompt"): _get_prompt,
    ("GET", "/queue"): _get_queue,
    ("POST", "/queue"): _post_queue,
    ("GET", "/history"): _get_history,
    ("GET", "/history/*"): _get_history_entry,
    ("POST", "/interrupt"): _post_interrupt,
    ("POST", "/free"): _post_free,
    ("GET", "/system_stats"): _get_system_stats,
    ("GET", "/object_info"): _get_object_info,
    ("GET", "/object_info/*"): _get_one_object_info,
    ("GET", "/features"): _get_features,
    ("GET", "/cache/check"): _get_cache_check,
    ("GET", "/inspire/cache/list"): _get_inspire_list,
    ("GET", "/inspire/cache/clear"): _get_inspire_clear,
}
