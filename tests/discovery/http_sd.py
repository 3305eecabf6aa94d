"""An address that answers in the format of http_sd, as the test wants."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.support.ports import free_port


class HttpSd:
    """Answers every GET with `answer`, or with `status`. `headers` has those of the last request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Any = []
        self.status = 200
        self.asked = 0
        self.headers: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.headers = dict(request.headers)
        if isinstance(self.answer, bytes):
            return web.Response(body=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def http_sd() -> AsyncIterator[HttpSd]:
    port = free_port()
    one = HttpSd(f"http://127.0.0.1:{port}/sd")
    app = web.Application()
    app.router.add_get("/sd", one.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield one
    finally:
        await runner.cleanup()
