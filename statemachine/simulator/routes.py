"""The HTTP routes of a simulated ComfyUI: one function per method and path.

Those of /api/jobs are in `job_routes.py`.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from statemachine.simulator.dialects import Dialect, Feature
from statemachine.simulator.http import JSON, TEXT, Request, Response, json_response, text_response
from statemachine.simulator.job_routes import get_job, get_jobs, post_cancel, post_cancel_one
from statemachine.simulator.jobs import is_canonical
from statemachine.simulator.prompt_queue import Item
from statemachine.simulator.server import ServerModel
from statemachine.simulator.validation import REPLACEMENTS, replace_missing, validate_prompt

HTML = "text/html; charset=utf-8"
GIB = 1024**3
NO_PROMPT = {"type": "no_prompt", "message": "No prompt provided", "details": "No prompt provided", "extra_info": {}}
INVALID_ID = {
    "type": "invalid_prompt_id",
    "message": "prompt_id must be a valid UUID",
    "details": "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server "
    "generate one",
    "extra_info": {},
}


def respond(server: ServerModel, request: Request) -> Response:
    """Respond to a request; an exception becomes a bare 500, as in ComfyUI [transcript 07]."""
    if not is_authorized(server, request.headers, request.query):
        return json_response({"error": "Authentication required."}, HTTPStatus.UNAUTHORIZED)
    if _is_of_another_site(server.process.dialect, request.headers):
        return Response(int(HTTPStatus.FORBIDDEN), None, b"")
    path = request.path if request.path.startswith("/api/jobs") else request.path.removeprefix("/api") or "/"
    try:
        return _find(server.process.dialect, request.method, path)(server, request._replace(path=path))
    except (TypeError, ValueError, AttributeError, KeyError):
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return text_response("500 Internal Server Error\n\nServer got itself in trouble", status=status)


def is_authorized(server: ServerModel, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Check the token as ComfyUI-Login does; a server without a token admits all clients."""
    token = server.profile.token
    return token is None or headers.get("Authorization") == f"Bearer {token}" or query.get("token") == token


def _is_of_another_site(dialect: Dialect, headers: Mapping[str, str]) -> bool:
    """Return whether a browser sent the request from a page of another site."""
    origin, host = headers.get("Origin"), headers.get("Host")
    if dialect.has(Feature.REFUSES_CROSS_SITE) and headers.get("Sec-Fetch-Site") == "cross-site":
        return True
    of_another = origin is not None and host is not None and urlsplit(origin).netloc.lower() != host.lower()
    return of_another and dialect.has(Feature.REFUSES_OTHER_ORIGINS)


def _find(dialect: Dialect, method: str, path: str) -> "Route":
    pattern = next((one for one in PATTERNS if fnmatchcase(path, one)), path)
    wanted, route = ROUTES.get((method, pattern), (None, _not_found))
    return route if wanted is None or dialect.has(wanted) else _not_found


EMPTY = Response(200, None, b"")


def _not_found(_server: ServerModel, request: Request) -> Response:
    """Respond as ComfyUI's static folder does for a missing file, which can only be read."""
    if request.method not in {"GET", "HEAD"}:
        return text_response("405: Method Not Allowed", status=HTTPStatus.METHOD_NOT_ALLOWED)
    return Response(int(HTTPStatus.NOT_FOUND), "application/octet-stream", b"")


def _post_prompt(server: ServerModel, request: Request) -> Response:
    """Queue a prompt. Each body that is a JSON object or a list takes a number, even if it is refused."""
    body = None
    prompt_id = None
    response = None
    try:
        body = request.json()
        number = _number(server, body)
        prompt_id = _prompt_id(server, body)
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


def _prompt_id(server: ServerModel, body: dict[str, Any]) -> str | None:
    """Return the prompt's id, as the version chooses it; None if it refuses the client's."""
    dialect = server.process.dialect
    if not dialect.has(Feature.CLIENT_IDS) or "prompt_id" not in body:
        return server.new_prompt_id()
    given = body["prompt_id"]
    if not dialect.has(Feature.CANONICAL_IDS):
        return str(given)
    return server.new_prompt_id() if given is None else (given if is_canonical(given) else None)


def _submit(server: ServerModel, body: dict[str, Any], prompt_id: str | None, number: float) -> Response:
    dialect = server.process.dialect
    if "prompt" not in body:
        return _refused(dialect, NO_PROMPT if dialect.has(Feature.ERROR_OBJECTS) else "no prompt", {})
    if prompt_id is None:
        return _refused(dialect, INVALID_ID, {})
    if dialect.has(Feature.REPLACEMENTS):
        replace_missing(body["prompt"], server.process.classes)
    result = validate_prompt(body["prompt"], server.process.classes, dialect)
    if result.error:
        return _refused(dialect, result.error, result.node_errors)
    extra = dict(body.get("extra_data", {}))
    if "client_id" in body:
        extra["client_id"] = body["client_id"]
    server.process.queue.put(Item(number, prompt_id, body["prompt"], server.process.stamped(extra), result.outputs))
    return json_response({"prompt_id": prompt_id, "number": number, "node_errors": result.node_errors})


def _refused(dialect: Dialect, error: Any, node_errors: dict[str, Any]) -> Response:
    """Respond with a refusal. Only errors of the graph's outputs made `node_errors` an object in old versions."""
    of_outputs = isinstance(error, dict) and error["type"] == "prompt_outputs_failed_validation"
    empty: Any = {} if of_outputs or dialect.has(Feature.ERROR_OBJECTS) else []
    return json_response({"error": error, "node_errors": node_errors or empty}, HTTPStatus.BAD_REQUEST)


def _get_prompt(server: ServerModel, _request: Request) -> Response:
    return json_response({"exec_info": {"queue_remaining": server.process.queue.remaining}})


def _get_queue(server: ServerModel, _request: Request) -> Response:
    queue = server.process.queue
    running = [queue.running.as_json()] if queue.running else []
    pending = [item.as_json() for item in queue.pending] if server.profile.lists_pending else []
    return json_response({"queue_running": running, "queue_pending": pending})


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
    return json_response(server.process.queue.newest(int(max_items) if max_items is not None else None))


def _get_history_entry(server: ServerModel, request: Request) -> Response:
    prompt_id = request.path.removeprefix("/history/")
    entry = server.process.queue.history.get(prompt_id)
    return json_response({prompt_id: entry} if entry else {})


def _post_interrupt(server: ServerModel, request: Request) -> Response:
    """Interrupt the given prompt, or any running one if no prompt_id is given."""
    by_id = request.body and server.process.dialect.has(Feature.INTERRUPT_BY_ID)
    wanted = request.json().get("prompt_id") if by_id else None
    running = server.process.queue.running
    if running and wanted in {None, running.prompt_id}:
        server.interrupt()
    return EMPTY


def _post_free(server: ServerModel, request: Request) -> Response:
    body = request.json()
    server.process.ask_to_free(models=bool(body.get("unload_models")), executor_cache=bool(body.get("free_memory")))
    return EMPTY


def _get_system_stats(server: ServerModel, _request: Request) -> Response:
    system = {
        "os": "posix",
        "ram_total": 128 * GIB,
        "ram_free": server.ram_free,
        "comfyui_version": server.process.dialect.version,
        "required_frontend_version": "1.32.9",
        "python_version": "3.12.3 (main) [GCC 13.2.0]",
        "pytorch_version": "2.9.1+cu128",
        "embedded_python": False,
        "argv": ["main.py", "--listen"],
    }
    free = GIB - server.process.scratch_bytes
    memory = {"vram_total": 24 * GIB, "vram_free": 20 * GIB, "torch_vram_total": 2 * GIB, "torch_vram_free": free}
    device = {"name": "cuda:0 Simulated GPU : cudaMallocAsync", "type": "cuda", "index": 0, **memory}
    return json_response({"system": system, "devices": [device]})


def _get_object_info(server: ServerModel, _request: Request) -> Response:
    return json_response({name: node.info() for name, node in server.process.classes.items()})


def _get_one_object_info(server: ServerModel, request: Request) -> Response:
    name = request.path.removeprefix("/object_info/")
    return json_response({name: server.process.classes[name].info()} if name in server.process.classes else {})


def _get_features(server: ServerModel, _request: Request) -> Response:
    return json_response(server.process.dialect.features)


def _get_node_replacements(_server: ServerModel, _request: Request) -> Response:
    return json_response(REPLACEMENTS)


def _get_cache_check(server: ServerModel, request: Request) -> Response:
    """Respond as comfywarm's node if it is installed, else as the plug-in that the profile has."""
    if server.process.companion:
        accept = request.headers.get("Accept", "")
        status, text, is_json = server.process.companion.check(request.query, accept, server.start_own_workflow)
        return text_response(text, JSON if is_json else TEXT, HTTPStatus(status))
    check = server.profile.text_check
    if check == "absent":
        return _not_found(server, request)
    if check == "html":
        return text_response("<!DOCTYPE html><html><head><title>Portal</title></head><body></body></html>", HTML)
    missing = server.missing_keys()
    if not missing:
        return text_response("缓存已加载。")
    if check == "reports":
        return text_response(f"未查询到缓存{','.join(missing)}。")
    server.start_own_workflow()
    return text_response(f"未查询到缓存{','.join(missing)}，已经自动在后台执行缓存模型工作流。")


def _get_inspire_list(server: ServerModel, request: Request) -> Response:
    """List the keys as Inspire-Pack's `ShowCachedInfo.get_data` does."""
    if not server.profile.inspire:
        return _not_found(server, request)
    lines = "".join(f"{key}: {tag or 'N/A(tag)'}\n" for key, tag in server.keys.items())
    limits = "".join(f"{tag}: 50\n" for tag in dict.fromkeys(server.keys.values()))
    sections = ("---- [Number Key Caches] ----\n", "---- [TagCache Settings] ----\n" + limits)
    return text_response("\n".join(("---- [String Key Caches] ----\n" + lines, *sections)))


def _get_inspire_clear(server: ServerModel, request: Request) -> Response:
    if not server.profile.inspire:
        return _not_found(server, request)
    server.process.clear_inspire()
    return EMPTY


Route = Callable[[ServerModel, Request], Response]
ROUTES: dict[tuple[str, str], tuple[Feature | None, Route]] = {
    ("POST", "/prompt"): (None, _post_prompt),
    ("GET", "/prompt"): (None, _get_prompt),
    ("GET", "/queue"): (None, _get_queue),
    ("POST", "/queue"): (None, _post_queue),
    ("GET", "/history"): (None, _get_history),
    ("GET", "/history/*"): (None, _get_history_entry),
    ("POST", "/interrupt"): (None, _post_interrupt),
    ("POST", "/free"): (None, _post_free),
    ("GET", "/system_stats"): (None, _get_system_stats),
    ("GET", "/object_info"): (None, _get_object_info),
    ("GET", "/object_info/*"): (None, _get_one_object_info),
    ("GET", "/features"): (Feature.FEATURES, _get_features),
    ("GET", "/cache/check"): (None, _get_cache_check),
    ("GET", "/inspire/cache/list"): (None, _get_inspire_list),
    ("GET", "/inspire/cache/clear"): (None, _get_inspire_clear),
    ("GET", "/node_replacements"): (Feature.REPLACEMENTS, _get_node_replacements),
    ("GET", "/api/jobs"): (Feature.JOBS, get_jobs),
    ("GET", "/api/jobs/*"): (Feature.JOBS, get_job),
    ("POST", "/api/jobs/cancel"): (Feature.CANCEL, post_cancel),
    ("POST", "/api/jobs/*/cancel"): (Feature.CANCEL, post_cancel_one),
}
"""Method and path → the feature that the version needs, and the function."""
PATTERNS = ("/history/*", "/object_info/*", "/api/jobs/*/cancel", "/api/jobs/cancel", "/api/jobs/*")
"""Paths of which a part varies, the first match first."""
