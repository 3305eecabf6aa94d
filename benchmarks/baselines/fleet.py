"""Open a /ws connection to each server, and check each at once and then every 60 s.

The argument is JSON: a file with the `urls`, the `concurrency` of connecting, and whether to run `checks`. The script
ignores the responses, and reports when all connections are open.
"""

import asyncio
import random
import sys
from pathlib import Path

import aiohttp
import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect

INTERVAL_S = 60.0
PING_INTERVAL_S = 30.0
KEEP_ALIVE_S = 1.0
"""As in the daemon. With aiohttp's 15 s, 10,000 servers would need 20,000 connections after the start."""


async def main(urls: list[str], concurrency: int, *, checks: bool) -> None:
    """Run until cancelled."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S)
    async with aiohttp.ClientSession(connector=connector) as session:
        dials = asyncio.Semaphore(concurrency)
        kept = await asyncio.gather(*(_begin(url, dials, session if checks else None) for url in urls))
        sys.stdout.write(f'{{"sockets": {len(kept)}}}\n')
        sys.stdout.flush()
        if checks:
            await asyncio.gather(*(_check_repeatedly(session, url) for url in urls))
        await asyncio.Event().wait()


async def _begin(url: str, dials: asyncio.Semaphore, session: aiohttp.ClientSession | None) -> ClientConnection:
    async with dials:
        address = f"ws{url.removeprefix('http')}/ws?clientId=bare"
        ws = await connect(address, compression=None, ping_interval=PING_INTERVAL_S, ping_timeout=None, proxy=None)
    if session is not None:
        async with dials:
            await _check(session, url)
    return ws


async def _check_repeatedly(session: aiohttp.ClientSession, url: str) -> None:
    await asyncio.sleep(INTERVAL_S * random.uniform(0.1, 1.0))  # noqa: S311 - not for security
    while True:
        await _check(session, url)
        await asyncio.sleep(INTERVAL_S * random.uniform(0.9, 1.1))  # noqa: S311


async def _check(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(f"{url}/cache/check") as response:
        await response.read()


if __name__ == "__main__":
    options = orjson.loads(sys.argv[1])
    uvloop.run(main(orjson.loads(Path(options["urls"]).read_bytes()), options["concurrency"], checks=options["checks"]))
