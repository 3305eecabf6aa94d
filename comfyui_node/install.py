"""Adds the cache check route and the watcher task to the running ComfyUI."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence

from aiohttp import web  # a dependency of ComfyUI itself
from server import PromptServer

from . import starter
from .check import RELEASE, BadQueryError, Verdict, as_text, judge, models_in_memory, requested_keys, wants_json
from .origin import ForeignPageError, refuse_foreign_pages
from .registration import Registration, daemons
from .watcher import Watcher
from .workflows import UnknownWorkflowError

PATH = "/cache/check"
PATTERN = "/cache/{check:check}"
"""Matches PATH only. If another plug-in adds the plain path too, two equal routes keep ComfyUI from starting."""

log = logging.getLogger("comfywarm")
_tasks: list[asyncio.Task[None]] = []
"""Keeps a reference to the tasks, because the event loop holds them weakly."""


class CheckRoute:
    """The handler of GET /cache/check."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._starter = starter.Starter()
        self._lock = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer the check: 403 for a page of another site, 400 for an invalid query, 501 for an internal error."""
        try:
            refuse_foreign_pages(request.headers)
            return await self._answer(request)
        except ForeignPageError as error:
            return web.json_response({"error": str(error)}, status=403)
        except (BadQueryError, UnknownWorkflowError) as error:
            return web.json_response({"error": str(error)}, status=400)
        except Exception as error:
            log.exception("comfywarm cannot answer %s", PATH)
            return web.json_response({"error": f"internal error in the comfywarm node: {error!r}"}, status=501)

    async def _answer(self, request: web.Request) -> web.Response:
        names, keys = request.query.getall("workflow", []), request.query.getall("key", [])
        peek = request.query.get("peek") == "1"
        wanted = await asyncio.to_thread(requested_keys, names, keys, peek=peek)
        async with self._lock:
            self._watcher.look_at_levels()
            self._watcher.poll()
            verdict, sequence = judge(wanted, self._watcher.keys), self._watcher.sequence
            started = bool(verdict.missing) and not peek and await self._start(names, verdict)
        if wants_json(request.headers.get("Accept", "")):
            activity = {"activity": self._watcher.worker.activity()} if peek else {}
            return web.json_response({**self._as_json(verdict, sequence, auto_started=started), **activity})
        return web.Response(text=as_text(verdict, auto_started=started))

    async def _start(self, names: Sequence[str], verdict: Verdict) -> bool:
        """Start a cache workflow unless one is queued. Return whether one is queued or running now."""
        if not starter.enabled():
            return False
        if verdict.loading:
            return True
        try:
            started = await self._starter.start(names, verdict.missing, self._watcher.changes)
        except Exception:
            log.exception("comfywarm cannot start the cache workflow")
            return False
        if started:
            self._watcher.send("started")
        return started

    def _as_json(self, verdict: Verdict, sequence: int, *, auto_started: bool) -> dict[str, object]:
        """Render the verdict as JSON. Frames after `sequence` are newer than the verdict."""
        return {
            "comfywarm": 1,
            "release": RELEASE,
            "instance": self._watcher.instance,
            "sequence": sequence,
            "keys": {"present": verdict.present, "missing": verdict.missing},
            "levels": self._watcher.levels_of(verdict.present),
            "held": models_in_memory(),
            "loading": verdict.loading or auto_started,
            "auto_started": auto_started,
            "worker_alive": self._watcher.worker.is_alive,
        }


def install() -> None:
    """Add the route and the watcher to the server, which is still starting."""
    server = PromptServer.instance
    watcher = Watcher()
    server.routes.get(PATTERN)(CheckRoute(watcher).handle)
    _tasks.append(server.loop.create_task(watcher.watch()))
    _tasks.extend(server.loop.create_task(Registration(daemon, os.environ).run()) for daemon in daemons())
    log.info("comfywarm: GET %s, instance %s", PATH, watcher.instance)
