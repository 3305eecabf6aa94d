"""How the baselines that serve something say where."""

import orjson
from aiohttp import web


async def serve(app: web.Application) -> None:
    """Listen on a free port of loopback, and say on stdout which."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(orjson.dumps({"port": runner.addresses[0][1]}).decode(), flush=True)
