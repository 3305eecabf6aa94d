"""Routes that any server of the fleet can answer: they go to the best one, and stay there while it is usable."""

from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from statemachine.gateway.errors import GatewayError
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.relay import relay
from statemachine.gateway.upstream import Upstream, is_name
from statemachine.settings import ServerConfig

_PATHS = (
    "/object_info",
    "/object_info/{name}",
    "/features",
    "/system_stats",
    "/embeddings",
    "/models",
    "/models/{name}",
    "/extensions",
    "/node_replacements",
)


class Passing:
    """Passes these requests to one server."""

    def __init__(self, view: FleetView, upstream: Upstream) -> None:
        self._view = view
        self._upstream = upstream
        self._server: ServerConfig | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that this object handles."""
        return [web.get(path, self.answer) for path in _PATHS]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer with the server's answer."""
        resource = request.match_info.route.resource
        path = (resource.canonical if resource is not None else request.path).removeprefix("/api")
        if (name := request.match_info.get("name")) is not None:
            if not is_name(name):
                raise web.HTTPNotFound
            path = path.replace("{name}", quote(name, safe=""))
        query = {key: value for key, value in request.query.items() if key != "token"}
        return await relay(request, self._upstream, self._usable(), path, query)

    def _usable(self) -> ServerConfig:
        usable = [one.config for one in self._view.choose({}).servers]
        if not usable:
            raise GatewayError(HTTPStatus.SERVICE_UNAVAILABLE, "no_server", "no server of the fleet is usable")
        if self._server not in usable:
            self._server = usable[0]
        return self._server
