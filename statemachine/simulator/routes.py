"""The HTTP side of a simulated ComfyUI: one function a route, found by method and path, pure but for the server.

Bodies are written with `json.dumps` as aiohttp's `json_response` does, so lengths are the real ones too.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from statemachine.simulator.prompt_queue import Item
from statemachine.simulator.validation import validate_prompt

if TYPE_CHECKING:
    from statemachine.simulator.server import SimServer

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
GIB = 1024**3


class Request(NamedTuple):
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


class Answer(NamedTuple):
    """`content_type` is None for an empty body, as with aiohttp."""

    status: int
    content_type: str | None
    body: bytes


def answer(server: "SimServer", request: Request) -> Answer:
    """Answer any request. What a malformed body raises becomes a bare 500, as in ComfyUI [transcript 07]."""
    if not admits(server, request.headers, request.query):
        return _json({"error": "Authentication required."}, HTTPStatus.UNAUTHORIZED)
    path = request.path.removeprefix("/api") or "/"
    try:
        return _find(request.method, path)(server, request._replace(path=path))
    except (TypeError, ValueError, AttributeError, KeyError):
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return _text("500 Internal Server Error\n\nServer got itself in trouble", status=status)


def admits(server: "SimServer", headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """ComfyUI-Login's rule; a server without a token admits everyone."""
    token = server.persona.token
    return token is None or headers.get("Authorization") == f"Bearer {token}" or query.get("token") == token


def _find(method: str, path: str) -> "Route":
    for folder in ("/history/", "/object_info/"):
        if path.startswith(folder):
            path = f"{folder}*"
    return ROUTES.get((method, path), _not_found)


def _json(value: Any, status: int = HTTPStatus.OK) -> Answer:
    return Answer(int(status), JSON, json.dumps(value).encode())


def _text(text: str, content_type: str = TEXT, status: int = HTTPStatus.OK) -> Answer:
    return Answer(int(status), content_type, text.encode())


EMPTY = Answer(200, None, b"")


def _not_found(_server: "SimServer", _request: Request) -> Answer:
    """As ComfyUI's static folder answers for a file that is not there."""
    return Answer(int(HTTPStatus.NOT_FOUND), "application/octet-stream", b"")


def _post_prompt(server: "SimServer", request: Request) -> Answer:
    """Every body that is a JSON object, or a list, uses up a number, refused or not."""
    body = None
    prompt_id = None
    reply = None
    try:
        body = request.json()
        number = _number(server, body)
        prompt_id = str(body["prompt_id"] if "prompt_id" in body else server.new_prompt_id())
        reply = _submit(server, body, prompt_id, number)
    finally:
        status = reply.status if reply else int(HTTPStatus.INTERNAL_SERVER_ERROR)
        server.note_received(prompt_id if status == HTTPStatus.OK else None, status, body)
    return reply


def _number(server: "SimServer", body: dict[str, Any]) -> float:
    if "number" in body:
        return float(body["number"])
    number = server.process.take_number()
    return -number if "front" in body and body["front"] else number  # noqa: RUF019 - a list has no get


def _submit(server: "SimServer", body: dict[str, Any], prompt_id: str, number: float) -> Answer:
    if "prompt" not in body:
        missing = {"type": "no_prompt", "message": "No prompt provided", "details": "No prompt provided"}
        return _json({"error": {**missing, "extra_info": {}}, "node_errors": {}}, HTTPStatus.BAD_REQUEST)
    verdict = validate_prompt(body["prompt"], server.process.classes)
    if verdict.error:
        refusal = {"error": verdict.error, "node_errors": verdict.node_errors}
        return _json(refusal, HTTPStatus.BAD_REQUEST)
    extra = dict(body.get("extra_data", {}))
    if "client_id" in body:
        extra["client_id"] = body["client_id"]
    extra["create_time"] = server.process.now_ms()
    server.process.queue.put(Item(number, prompt_id, body["prompt"], extra, verdict.outputs))
    return _json({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})


def _get_prompt(server: "SimServer", _request: Request) -> Answer:
    return _json({"exec_info": {"queue_remaining": server.process.queue.remaining}})


def _get_queue(server: "SimServer", _request: Request) -> Answer:
    running = [server.process.queue.running.as_json()] if server.process.queue.running else []
    return _json({"queue_running": running, "queue_pending": [item.as_json() for item in server.process.queue.pending]})


def _post_queue(server: "SimServer", request: Request) -> Answer:
    """Always 200 and empty, whatever came: a workflow posted here is thrown away [transcript 07]."""
    body = request.json()
    if "clear" in body and body["clear"]:  # noqa: RUF019 - a list has no get
        server.process.queue.clear()
    for prompt_id in body["delete"] if "delete" in body else []:  # noqa: SIM401 - the same
        server.process.queue.delete(prompt_id)
    return EMPTY


def _get_history(server: "SimServer", request: Request) -> Answer:
    max_items = request.query.get("max_items")
    return _json(server.process.queue.newest(int(max_items) if max_items is not None else None))


def _get_history_entry(server: "SimServer", request: Request) -> Answer:
    prompt_id = request.path.removeprefix("/history/")
    entry = server.process.queue.history.get(prompt_id)
    return _json({prompt_id: entry} if entry else {})


def _post_interrupt(server: "SimServer", request: Request) -> Answer:
    """Without a prompt_id whatever runs is interrupted; with one, only that prompt."""
    wanted = request.json().get("prompt_id") if request.body else None
    running = server.process.queue.running
    if running and wanted in {None, running.prompt_id}:
        server.interrupt()
    return EMPTY


def _post_free(server: "SimServer", request: Request) -> Answer:
    body = request.json()
    server.process.ask_to_free(models=bool(body.get("unload_models")), executor_cache=bool(body.get("free_memory")))
    return EMPTY


def _get_system_stats(_server: "SimServer", _request: Request) -> Answer:
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


def _get_object_info(server: "SimServer", _request: Request) -> Answer:
    return _json({name: node.info() for name, node in server.process.classes.items()})


def _get_one_object_info(server: "SimServer", request: Request) -> Answer:
    name = request.path.removeprefix("/object_info/")
    return _json({name: server.process.classes[name].info()} if name in server.process.classes else {})


def _get_features(_server: "SimServer", _request: Request) -> Answer:
    return _json({"supports_preview_metadata": True, "max_upload_size": 104_857_600})


def _get_cache_check(server: "SimServer", request: Request) -> Answer:
    """comfywarm's node where it is installed, else the mission's plug-in, in the persona's manner."""
    if server.process.companion:
        accept = request.headers.get("Accept", "")
        status, text, is_json = server.process.companion.check(request.query, accept, server.start_own_workflow)
        return _text(text, JSON if is_json else TEXT, HTTPStatus(status))
    manner = server.persona.text_check
    if manner == "absent":
        return _not_found(server, request)
    if manner == "html":
        return _text("<!DOCTYPE html><html><head><title>Portal</title></head><body></body></html>", HTML)
    missing = server.missing_keys()
    if not missing:
        return _text("缓存已加载。")
    if manner == "says":
        return _text(f"未查询到缓存{','.join(missing)}。")
    server.start_own_workflow()
    return _text(f"未查询到缓存{','.join(missing)}，已经自动在后台执行缓存模型工作流。")


def _get_inspire_list(server: "SimServer", request: Request) -> Answer:
    """As the Inspire-Pack's `ShowCachedInfo.get_data` writes it."""
    if not server.persona.inspire:
        return _not_found(server, request)
    lines = "".join(f"{key}: {tag or 'N/A(tag)'}\n" for key, tag in server.keys.items())
    limits = "".join(f"{tag}: 50\n" for tag in dict.fromkeys(server.keys.values()))
    sections = ("---- [Number Key Caches] ----\n", "---- [TagCache Settings] ----\n" + limits)
    return _text("\n".join(("---- [String Key Caches] ----\n" + lines, *sections)))


def _get_inspire_clear(server: "SimServer", request: Request) -> Answer:
    if not server.persona.inspire:
        return _not_found(server, request)
    server.process.clear_inspire()
    return EMPTY


Route = Callable[["SimServer", Request], Answer]
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
