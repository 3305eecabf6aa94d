"""Write an event to every reader for each frame of one /ws connection.

The argument is JSON: the `url` of the server, and the `event` in wire format.
"""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import web
from websockets.asyncio.client import connect

from benchmarks.baselines.site import serve


async def main(url: str, event: bytes) -> None:
    """Run until cancelled."""
    readers: list[web.StreamResponse] = []

    async def join(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        readers.append(response)
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/api/events", join)
    await serve(app)
    ws = await connect(f"ws{url.removeprefix('http')}/ws?clientId=bare", compression=None)
    async for _ in ws:
        for reader in readers:
            await reader.write(event)


if __name__ == "__main__":
    options = orjson.loads(sys.argv[1])
    uvloop.run(main(options["url"], options["event"].encode()))
