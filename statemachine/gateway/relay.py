"""Passing a server's answer on to a client, also for routes that any server of the fleet can answer.

It is passed on piece by piece and no faster than the client reads. The routes go to the best server, and stay there
while it is usable.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs, web

from statemachine.gateway.errors import GatewayError
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.upstream import Upstream, is_name
from statemachine.settings import ServerConfig

WRITE_TIMEOUT_S = 60.0
"""How long a client may leave its socket full."""

_ASKED: tuple[str, ...] = (
    hdrs.RANGE,
    hdrs.IF_NONE_MATCH,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.IF_RANGE,
    hdrs.ACCEPT,
    hdrs.ACCEPT_ENCODING,
)
_ANSWERED: tuple[str, ...] = (
    hdrs.CONTENT_TYPE,
    hdrs.CONTENT_LENGTH,
    hdrs.CONTENT_ENCODING,
    hdrs.CONTENT_DISPOSITION,
    hdrs.CONTENT_RANGE,
    hdrs.ACCEPT_RANGES,
    hdrs.ETAG,
    hdrs.LAST_MODIFIED,
)
_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Vary": "Accept-Encoding"}
"""A server's answer must not run scripts at the gateway's address, which has other clients' files."""

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


async def relay(
    request: web.Request, upstream: Upstream, server: ServerConfig, path: str, query: Mapping[str, str]
) -> web.StreamResponse:
    """Answer a GET or HEAD with a server's answer."""
    asked: dict[str, str] = {name: request.headers[name] for name in _ASKED if name in request.headers}
    asked.setdefault(hdrs.ACCEPT_ENCODING, "identity")
    async with upstream.stream(server, request.method, path, query, asked) as answer:
        response = _response(answer)
        await response.prepare(request)
        await _copy(answer, response, request)
        return response


async def _copy(answer: aiohttp.ClientResponse, response: web.StreamResponse, request: web.Request) -> None:
    """Copy the body. Where it ends early the connection is closed, so that the client does not take it for whole."""
    try:
        async for chunk in answer.content.iter_any():
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientError, TimeoutError, OSError):
        if request.transport is not None:
            request.transport.abort()


def _response(answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers: dict[str, str] = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
    return web.StreamResponse(status=answer.status, headers={**_SAFE, **headers})


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
