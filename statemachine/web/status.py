"""GET /api/status, which is asked more often than anything changes: its bytes are kept until then.

A server's line is rendered when its view is another one, the whole is joined when anything has changed, and it is
compressed once for all who want it so. Whoever names what he has is told only whether it still holds.
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

from statemachine.core.view import ServerView
from statemachine.publish import serialize
from statemachine.web.ports import WebPorts
from statemachine.web.responses import COMPRESS_FROM

FRESH_S = 1.0
"""The answer says when it was made. Though nothing has changed it is made anew after so long."""

_COMPRESSION = 1
"""zlib's level, the fastest: the lines are so alike that the default makes them a fifth smaller, in twice the time."""

_NO_LINE = orjson.Fragment(b"null")


@dataclass(slots=True, eq=False)
class _Answer:
    """`etag` names what is said of the fleet, and not when it was said. `at` is epoch seconds."""

    body: bytes
    etag: str
    changes: int
    at: float
    _compressing: asyncio.Future[bytes] | None = None

    async def compressed(self) -> bytes:
        """The body in gzip's format, made in a thread when it is first wanted."""
        if self._compressing is None:
            compress = partial(gzip.compress, self.body, _COMPRESSION, mtime=0)
            self._compressing = asyncio.get_running_loop().run_in_executor(None, compress)
        return await asyncio.shield(self._compressing)


class Status:
    """The route's handler."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports
        self._life = f"{int(ports.uniform() * 2**32):08x}"
        self._views: Sequence[ServerView | None] = ()
        self._lines: list[orjson.Fragment] = []
        self._kept: _Answer | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """GET /api/status"""
        answer = self._answer()
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "ETag": f'W/"{answer.etag}"'}
        if _has(request, answer.etag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        headers["Content-Type"] = "application/json; charset=utf-8"
        if len(answer.body) < COMPRESS_FROM or "gzip" not in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower():
            return web.Response(body=answer.body, headers=headers)
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=await answer.compressed(), headers=headers)

    def _answer(self) -> _Answer:
        """The one that was kept, where it still holds and is no older than it may be."""
        kept, changes, now = self._kept, self._ports.snapshot.changes, self._ports.now()
        if kept is not None and kept.changes == changes and 0 <= now - kept.at < FRESH_S:
            return kept
        body = serialize.status(self._ports.snapshot, now, self._rendered())
        self._kept = _Answer(body, f"{self._life}-{changes}", changes, now)
        return self._kept

    def _rendered(self) -> list[orjson.Fragment]:
        """Every server's line. Views are immutable: a line holds as long as the view in its place is the same one."""
        self._ports.snapshot.flush_live()
        views = list(self._ports.snapshot)
        if len(views) != len(self._views):
            self._views, self._lines = [None] * len(views), [_NO_LINE] * len(views)
        for place in compress(range(len(views)), map(is_not, views, self._views)):
            self._lines[place] = orjson.Fragment(serialize.server_line(views[place]))
        self._views = views
        return self._lines


def _has(request: web.Request, etag: str) -> bool:
    """Whether the client says that this is what it has."""
    if hdrs.IF_NONE_MATCH not in request.headers:
        return False
    return any(one.value in (etag, "*") for one in request.if_none_match or ())
