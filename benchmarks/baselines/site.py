"""The web server of the baselines."""

import asyncio

import orjson
from aiohttp import web


async def serve(app: web.Application) -> None:
    """Serve on a free loopback port, and report the port on stdout."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(orjson.dumps({"port": runner.addresses[0][1]}).decode(), flush=True)


async def serve_stream() -> list[web.StreamResponse]:
    """Serve /api/events as `serve` does; return the list of its readers, which grows."""
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
    return readers
