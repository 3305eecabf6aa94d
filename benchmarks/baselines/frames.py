"""The naive reader: `async for` over every socket, each frame parsed; on demand a dict for a state machine.

Its argument is JSON: `urls`, the loop (`uvloop` or `asyncio`), and whether it keeps `state`.
"""

import asyncio
import sys
from typing import Any

import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect

AT_ONCE = 100
PING_EVERY_S, PONG_WITHIN_S = 30.0, 120.0
"""As the daemon has them: more often, which is the library's default, costs more."""
NEXT = {("loaded", "status"): "loaded", ("loaded", "progress_state"): "warming", ("warming", "status"): "loaded"}


async def main(urls: list[str], *, state: bool) -> None:
    """Read for ever."""
    dialling = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*((_keep if state else _read)(url, dialling) for url in urls))


async def _read(url: str, dialling: asyncio.Semaphore) -> None:
    async with dialling:
        ws = await _opened(url)
    async for message in ws:
        orjson.loads(message)


async def _keep(url: str, dialling: asyncio.Semaphore) -> None:
    server: dict[str, Any] = {"state": "loaded"}
    async with dialling:
        ws = await _opened(url)
    async for message in ws:
        frame = orjson.loads(message)
        kind = frame["type"]
        server["state"] = NEXT.get((server["state"], kind), server["state"])
        server[kind] = frame["data"]


async def _opened(url: str) -> ClientConnection:
    address = f"ws{url.removeprefix('http')}/ws?clientId=bare"
    return await connect(address, compression=None, ping_interval=PING_EVERY_S, ping_timeout=PONG_WITHIN_S)


if __name__ == "__main__":
    said = orjson.loads(sys.argv[1])
    reading = main(said["urls"], state=said["state"])
    uvloop.run(reading) if said["loop"] == "uvloop" else asyncio.run(reading)
