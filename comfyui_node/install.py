"""Joins the package to the running ComfyUI: the route, and the watcher's task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiohttp import web  # a dependency of ComfyUI itself
from server import PromptServer

from . import starter
from .check import BadQuestionError, Verdict, asked_for, held, in_words, judge, wants_json
from .watcher import Watcher
from .workflows import UnknownWorkflowError

PATH = "/cache/check"
PATTERN = "/cache/{check:check}"
"""Matches PATH alone. Two plain routes of one path, one after the other, would keep ComfyUI from starting."""

log = logging.getLogger("comfywarm")
_tasks: list[asyncio.Task[None]] = []
"""Loops hold tasks weakly."""


class CheckRoute:
    """GET /cache/check."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._starter = starter.Starter()
        self._starting = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer; 400 for what cannot be asked, and no exception ever for ComfyUI to deal with."""
        try:
            return await self._answer(request)
        except (BadQuestionError, UnknownWorkflowError) as error:
            return web.json_response({"error": str(error)}, status=400)
        except Exception as error:
            log.exception("comfywarm cannot answer %s", PATH)
            return web.json_response({"error": f"comfywarm's node failed: {error!r}"}, status=501)

    async def _answer(self, request: web.Request) -> web.Response:
        names, keys = request.query.getall("workflow", []), request.query.getall("key", [])
        peek = request.query.get("peek") == "1"
        wanted = await asyncio.to_thread(asked_for, names, keys, peek=peek)
        async with self._starting:
            self._watcher.look()
            verdict, sequence = judge(wanted, self._watcher.keys), self._watcher.sequence
            started = bool(verdict.missing) and not peek and await self._start(names, verdict)
        if wants_json(request.headers.get("Accept", "")):
            return web.json_response(self._as_json(verdict, sequence, auto_started=started))
        return web.Response(text=in_words(verdict, auto_started=started))

    async def _start(self, names: Sequence[str], verdict: Verdict) -> bool:
        """Start the server's own workflow, never while one that loads is queued; whether one is under way."""
        if not starter.wanted():
            return False
        if verdict.loading:
            return True
        try:
            started = await self._starter.start(names, verdict.missing, self._watcher.changes)
        except Exception:
            log.exception("comfywarm could not start the cache workflow")
            return False
        if started:
            self._watcher.tell("started")
        return started

    def _as_json(self, verdict: Verdict, sequence: int, *, auto_started: bool) -> dict[str, object]:
        """`sequence` is that of the look at the caches: frames after it are news to whoever asked."""
        return {
            "comfywarm": 1,
            "instance": self._watcher.instance,
            "sequence": sequence,
            "keys": {"present": verdict.present, "missing": verdict.missing},
            "held": held(),
            "loading": verdict.loading or auto_started,
            "auto_started": auto_started,
        }


def install() -> None:
    """Add the route and the watcher to the server that is being started."""
    server = PromptServer.instance
    watcher = Watcher()
    server.routes.get(PATTERN)(CheckRoute(watcher).handle)
    _tasks.append(server.loop.create_task(watcher.watch()))
    log.info("comfywarm: GET %s, instance %s", PATH, watcher.instance)
