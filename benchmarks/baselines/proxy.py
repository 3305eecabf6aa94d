"""Pass every GET on to one server, and its body back piece by piece, with aiohttp alone.

The argument is JSON: the `url` of the server.
"""

import asyncio
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import web

from benchmarks.baselines.site import serve


async def main(url: str) -> None:
    """Serve until cancelled."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=2**19) as session:

        async def pass_on(request: web.Request) -> web.StreamResponse:
            async with session.get(url + request.raw_path) as answer:
                length = {"Content-Length": answer.headers["Content-Length"]}
                response = web.StreamResponse(status=answer.status, headers=length)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response

        app = web.Application()
        app.router.add_get("/{path:.*}", pass_on)
        await serve(app)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(orjson.loads(sys.argv[1])["url"]))
