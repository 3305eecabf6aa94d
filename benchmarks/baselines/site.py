"""The web server of the baselines."""

import orjson
from aiohttp import web


async def serve(app: web.Application) -> None:
    """Serve on a free loopback port, and report the port on stdout."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(orjson.dumps({"port": runner.addresses[0][1]}).decode(), flush=True)
