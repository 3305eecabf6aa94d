"""The web application of the gateway: ComfyUI's routes, with and without the prefix /api."""

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from statemachine.gateway.clients import MAX_REQUESTS, Clients
from statemachine.gateway.errors import JSON, bad_request, errors_as_json, not_allowed
from statemachine.gateway.json_text import loads_any
from statemachine.gateway.metrics_route import GatewayMetricsHandler
from statemachine.gateway.prompt_request import read_request
from statemachine.gateway.requests import Bodies, admit, client_of
from statemachine.gateway.submission import Submission
from statemachine.web.auth import only_own_sites

MAX_PROMPT = 64 * 1024 * 1024
"""Bytes of a POST /prompt, whose graph may have inlined images."""
METRICS_PATH = "/metrics"
"""For the operator, who is none of the clients."""
SOCKET_PATHS = frozenset({"/ws", "/api/ws"})


def build_app(
    clients: Clients,
    submission: Submission,
    routes: Collection[web.RouteDef],
    metrics: GatewayMetricsHandler,
    hosts: Collection[str],
) -> web.Application:
    """Build the web application. `routes` are those of the other handlers, without the prefix, for clients."""
    app = web.Application(middlewares=[errors_as_json, only_own_sites(hosts, "gateway.hosts"), _only_clients(clients)])
    prompts = _Prompts(submission)
    own = [
        *routes,
        web.post("/prompt", prompts.post),
        web.post("/free", _refuse_free),
        web.get("/healthz", _healthz),
    ]
    for route in own:
        for prefix in ("", "/api"):
            web.RouteDef(route.method, prefix + route.path, route.handler, route.kwargs).register(app.router)
    app.router.add_get(METRICS_PATH, metrics.handle)
    return app


class _Prompts:
    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._bodies = Bodies()

    async def post(self, request: web.Request) -> web.Response:
        """Send a prompt to a server, and answer with the server's answer."""
        async with self._bodies.read(request, MAX_PROMPT) as text:
            try:
                body = await loads_any(text)
            except ValueError:
                raise bad_request("invalid_json", "the body is not valid JSON") from None
            answer = await self._submission.submit(read_request(client_of(), body))
        content_type = answer.content_type or JSON
        return web.Response(body=answer.body, status=answer.status, content_type=content_type)


async def _refuse_free(_request: web.Request) -> web.Response:
    raise not_allowed("freeing the memory of a server")


async def _healthz(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _only_clients(clients: Clients) -> Middleware:
    """Return middleware that admits known clients, each with a bounded number of requests at a time."""

    @web.middleware
    async def only_known(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == METRICS_PATH:
            return await handler(request)
        client = clients.identify(request)
        admit(client)
        if request.path in SOCKET_PATHS:
            return await handler(request)
        with clients.request(client, MAX_REQUESTS):
            return await handler(request)

    return only_known
