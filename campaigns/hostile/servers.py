"""The hostile servers as a process: `python -m campaigns.hostile.servers [KIND ...]`.

It prints one line of JSON, each server's name → its entry in the settings, and serves until it is ended.
"""

import asyncio
import json
import sys
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Any

from campaigns.hostile.kinds import KINDS
from campaigns.hostile.secrets import HEADERS
from tests.faults.proxy import FaultProxy

SCALE = 0.05
HOST = "127.0.2.{}"
"""Each kind has a host of its own, and all copies of a kind share it."""


async def serve(kinds: Collection[str]) -> None:
    """Run one server of each kind, or as many as the kind has copies, until cancelled."""
    async with AsyncExitStack() as stack:
        entries: dict[str, Any] = {}
        for number, name in enumerate(kinds, 1):
            kind = KINDS[name]
            for copy in range(kind.copies):
                proxy = FaultProxy(kind.profile, SCALE)
                proxy.responders.update(kind.responders)
                await stack.enter_async_context(proxy.listening(host=HOST.format(number)))
                entries[f"{name}-{copy}"] = {
                    "url": proxy.url,
                    "headers": HEADERS,
                    "cache_check": {"kind": kind.check},
                }
        print(json.dumps(entries), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:] or KINDS))
