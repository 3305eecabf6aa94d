"""Read every socket with `async for` and parse each frame; optionally keep the state in a dict.

The argument is JSON: the `urls`, the `loop` (`uvloop` or `asyncio`), and whether to keep the `state`.
"""

import asyncio
import sys
from typing import Any

import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect

BATCH = 100
PING_INTERVAL_S, PING_TIMEOUT_S = 30.0, 120.0
"""As in the daemon. The library's default of 20 s costs more."""
NEXT = {("loaded", "status"): "loaded", ("loaded", "progress_state"): "warming", ("warming", "status"): "loaded"}


async def main(urls: list[str], *, state: bool) -> None:
    """Read until cancelled."""
    dials = asyncio.Semaphore(BATCH)
    await asyncio.gather(*((_keep if state else _read)(url, dials) for url in urls))


async def _read(url: str, dials: asyncio.Semaphore) -> None:
    async with dials:
        ws = await _opened(url)
    async for message in ws:
        orjson.loads(message)


async def _keep(url: str, dials: asyncio.Semaphore) -> None:
    server: dict[str, Any] = {"state": "loaded"}
    async with dials:
        ws = await _opened(url)
    async for message in ws:
        frame = orjson.loads(message)
        kind = frame["type"]
        server["state"] = NEXT.get((server["state"], kind), server["state"])
        server[kind] = frame["data"]


async def _opened(url: str) -> ClientConnection:
    address = f"ws{url.removeprefix('http')}/ws?clientId=bare"
    return await connect(address, compression=None, ping_interval=PING_INTERVAL_S, ping_timeout=PING_TIMEOUT_S)


if __name__ == "__main__":
    options = orjson.loads(sys.argv[1])
    reading = main(options["urls"], state=options["state"])
    uvloop.run(reading) if options["loop"] == "uvloop" else asyncio.run(reading)
