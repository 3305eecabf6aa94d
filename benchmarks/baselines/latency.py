"""On each success frame, send a GET and write to every reader of the stream.

The argument is JSON: the `urls`.
"""

import asyncio
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import web
from websockets.asyncio.client import connect

from benchmarks.baselines.site import serve_stream

BATCH = 100


async def main(urls: list[str]) -> None:
    """Watch the servers until cancelled."""
    readers = await serve_stream()
    dials = asyncio.Semaphore(BATCH)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(_watch(url, session, readers, dials) for url in urls))


async def _watch(
    url: str, session: aiohttp.ClientSession, readers: list[web.StreamResponse], dials: asyncio.Semaphore
) -> None:
    async with dials:
        ws = await connect(f"ws{url.removeprefix('http')}/ws?clientId=bare", compression=None)
    async for message in ws:
        if orjson.loads(message)["type"] == "execution_success":
            async with session.get(f"{url}/cache/check") as response:
                answer = await response.text()
            line = {"server": url.removeprefix("http://"), "to": "loaded", "answer": answer}
            for reader in readers:
                await reader.write(b"event: transition\ndata: %b\n\n" % orjson.dumps(line))


if __name__ == "__main__":
    uvloop.run(main(orjson.loads(sys.argv[1])["urls"]))
