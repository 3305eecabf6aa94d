"""Serve the bytes of a file at /api/status with aiohttp. The argument is JSON: the `file`."""

import asyncio
import sys
from pathlib import Path

import orjson
import uvloop
from aiohttp import web

from benchmarks.baselines.site import serve


async def main(body: bytes) -> None:
    """Serve until cancelled."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/status", answer)
    await serve(app)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(Path(orjson.loads(sys.argv[1])["file"]).read_bytes()))
