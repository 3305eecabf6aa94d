"""GET /api/status, cached until the fleet changes.

A server is serialized again only when its view is replaced, the body is joined when anything has changed, and it is
compressed once for all clients. A client that sends the current ETag receives 304.
"""

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import compress
from operator import is_not

import orjson
from aiohttp import hdrs, web

from statemachine.core.server import ServerView
from statemachine.publish import serialize
from statemachine.web.ports import WebPorts
from statemachine.web.responses import COMPRESS_FROM
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import StatusSchema

MAX_AGE_S = 1.0
"""Age after which an unchanged body is built again, so that its `generated_at` stays recent."""

_COMPRESSION_LEVEL = 1
"""The fastest zlib level; the default one takes twice as long and saves only a fifth."""

_EMPTY_LINE = orjson.Fragment(b"null")


@dataclass(slots=True, eq=False)
class _CachedStatus:
    """A body with its ETag, which identifies the fleet's state and not `generated_at`. `at` is epoch seconds."""

    body: bytes
    etag: str
    changes: int
    at: float
    _compressing: asyncio.Future[bytes] | None = None

    async def compressed(self) -> bytes:
        """Return the gzip-compressed body; the first call compresses it in a thread."""
        if self._compressing is None:
            compress = partial(gzip.compress, self.body, _COMPRESSION_LEVEL, mtime=0)
            self._compressing = asyncio.get_running_loop().run_in_executor(None, compress)
        return await asyncio.shield(self._compressing)


class StatusHandler:
    """Handle GET /api/status."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports
        self._instance = f"{int(ports.uniform() * 2**32):08x}"
        self._views: Sequence[ServerView | None] = ()
        self._lines: list[orjson.Fragment] = []
        self._cached: _CachedStatus | None = None

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        fleet = ApiResponse(200, "The state of every server", StatusSchema)
        unchanged = ApiResponse(304, "Nothing has changed since the given ETag.", media_type=None)
        etag = Parameter("header", "If-None-Match", "ETag of an earlier response.")
        return [Route("GET", "/api/status", self.handle, "Get all servers", (fleet, unchanged), (etag,))]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /api/status."""
        status = self._current()
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "ETag": f'W/"{status.etag}"'}
        if _matches(request, status.etag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        headers["Content-Type"] = "application/json; charset=utf-8"
        if len(status.body) < COMPRESS_FROM or "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower():
            return web.Response(body=status.body, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=await status.compressed(), headers=headers)

    def _current(self) -> _CachedStatus:
        """Return the cached status, or build it if the fleet has changed or the cached one is too old."""
        cached, changes, now = self._cached, self._ports.snapshot.changes, self._ports.now()
        if cached is not None and cached.changes == changes and 0 <= now - cached.at < MAX_AGE_S:
            return cached
        body = serialize.status(self._ports.snapshot, now, self._serialized())
        self._cached = _CachedStatus(body, f"{self._instance}-{changes}", changes, now)
        return self._cached

    def _serialized(self) -> list[orjson.Fragment]:
        """Serialize every server. Views are immutable, so only replaced ones are serialized again."""
        self._ports.snapshot.flush_live()
        views = list(self._ports.snapshot)
        if len(views) != len(self._views):
            self._views, self._lines = [None] * len(views), [_EMPTY_LINE] * len(views)
        for place in compress(range(len(views)), map(is_not, views, self._views)):
            self._lines[place] = orjson.Fragment(serialize.server_line(views[place]))
        self._views = views
        return self._lines


def _matches(request: web.Request, etag: str) -> bool:
    """Return whether the client already has the response with this ETag."""
    if hdrs.IF_NONE_MATCH not in request.headers:
        return False
    return any(one.value in (etag, "*") for one in request.if_none_match or ())
