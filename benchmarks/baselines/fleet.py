"""The bare supervisor: a /ws connection to each server, a check of each at once and then every 60 s. It judges nothing.

Its argument is JSON: the file that lists the `urls`, how many it dials `at_once`, and whether it asks `checks`. It says
when all stand.
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
PING_EVERY_S = 30.0
KEEP_ALIVE_S = 1.0
"""As the daemon does it. With aiohttp's 15 s there are 20,000 connections after the start: more than many may open."""


async def main(urls: list[str], at_once: int, *, checks: bool) -> None:
    """Go on for ever."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S)
    async with aiohttp.ClientSession(connector=connector) as session:
        dialling = asyncio.Semaphore(at_once)
        kept = await asyncio.gather(*(_begin(url, dialling, session if checks else None) for url in urls))
        sys.stdout.write(f'{{"sockets": {len(kept)}}}\n')
        sys.stdout.flush()
        if checks:
            await asyncio.gather(*(_ask_for_ever(session, url) for url in urls))
        await asyncio.Event().wait()


async def _begin(url: str, dialling: asyncio.Semaphore, session: aiohttp.ClientSession | None) -> ClientConnection:
    async with dialling:
        address = f"ws{url.removeprefix('http')}/ws?clientId=bare"
        ws = await connect(address, compression=None, ping_interval=PING_EVERY_S, ping_timeout=None, proxy=None)
    if session is not None:
        async with dialling:
            await _ask(session, url)
    return ws


async def _ask_for_ever(session: aiohttp.ClientSession, url: str) -> None:
    await asyncio.sleep(INTERVAL_S * random.uniform(0.1, 1.0))  # noqa: S311 - nobody must be unable to foresee it
    while True:
        await _ask(session, url)
        await asyncio.sleep(INTERVAL_S * random.uniform(0.9, 1.1))  # noqa: S311


async def _ask(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(f"{url}/cache/check") as answer:
        await answer.read()


if __name__ == "__main__":
    said = orjson.loads(sys.argv[1])
    uvloop.run(main(orjson.loads(Path(said["urls"]).read_bytes()), said["at_once"], checks=said["checks"]))
