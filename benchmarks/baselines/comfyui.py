"""A server with the part of ComfyUI's API that the gateway uses. Every prompt ends at once and writes one file.

The argument is JSON: the `file` that each prompt has written.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import uvloop
from aiohttp import web

from benchmarks.baselines.site import serve

RUNS_S = 0.001
"""How long a prompt runs."""
IDLE = {"status": {"exec_info": {"queue_remaining": 0}}}


class Server:
    """The routes, and the /ws connections by their client ids."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._sockets: dict[str, web.WebSocketResponse] = {}

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/ws", self._ws)
        app.router.add_post("/prompt", self._prompt)
        app.router.add_get("/view", self._view)
        for path, answer in {
            "/prompt": {"exec_info": {"queue_remaining": 0}},
            "/queue": {"queue_running": [], "queue_pending": []},
            "/history/{id}": {},
        }.items():
            app.router.add_get(path, _fixed(answer))
        return app

    async def _ws(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self._sockets[request.query["clientId"]] = ws
        await ws.send_str(_frame("status", {**IDLE, "sid": request.query["clientId"]}))
        async for _ in ws:
            pass
        return ws

    async def _prompt(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        prompt_id = body.get("prompt_id") or uuid4().hex
        if (ws := self._sockets.get(body.get("client_id"))) is not None:
            asyncio.get_running_loop().call_later(RUNS_S, lambda: asyncio.ensure_future(self._run(ws, prompt_id)))
        return _json({"prompt_id": prompt_id, "number": 1, "node_errors": {}})

    async def _run(self, ws: web.WebSocketResponse, prompt_id: str) -> None:
        images = [{"filename": self._file.name, "subfolder": "", "type": "output"}]
        frames: tuple[tuple[str, dict[str, Any]], ...] = (
            ("execution_start", {}),
            ("executed", {"node": "9", "output": {"images": images}}),
            ("execution_success", {}),
            ("executing", {"node": None}),
        )
        for kind, data in frames:
            await ws.send_str(_frame(kind, {**data, "prompt_id": prompt_id}))
        await ws.send_str(_frame("status", IDLE))

    async def _view(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._file)


def _frame(kind: str, data: dict[str, Any]) -> str:
    return json.dumps({"type": kind, "data": data})


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def _fixed(answer: object) -> Any:
    async def handler(_request: web.Request) -> web.Response:
        return _json(answer)

    return handler


async def main(file: str) -> None:
    """Serve until cancelled."""
    await serve(Server(Path(file)).app())
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(orjson.loads(sys.argv[1])["file"]))
