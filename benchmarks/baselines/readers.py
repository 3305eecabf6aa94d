"""Write an event to every reader for each frame of one /ws connection.

The argument is JSON: the `url` of the server, and the `event` in wire format.
"""

import sys

import orjson
import uvloop
from websockets.asyncio.client import connect

from benchmarks.baselines.site import serve_stream


async def main(url: str, event: bytes) -> None:
    """Run until cancelled."""
    readers = await serve_stream()
    ws = await connect(f"ws{url.removeprefix('http')}/ws?clientId=bare", compression=None)
    async for _ in ws:
        for reader in readers:
            await reader.write(event)


if __name__ == "__main__":
    options = orjson.loads(sys.argv[1])
    uvloop.run(main(options["url"], options["event"].encode()))
