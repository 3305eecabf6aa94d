"""The servers of the campaign, simulated or real, and the program that restarts them when the daemon's hook asks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from tests.support.ports import free_port

Json = dict[str, Any]
SERVERS = 6
GROUP = "farm"


class Fleet(Protocol):
    """Servers that can be restarted. `urls` are their addresses by name; the workflow files are in `workflows_dir`."""

    urls: Mapping[str, str]
    workflows: Sequence[str]
    workflows_dir: Path

    async def restart(self, name: str) -> None:
        """End the server's process and start another one; return once it answers."""
        ...

    def graph(self, prompt_id: str) -> Json:
        """Return a graph that writes one file, which belongs to this prompt alone."""
        ...

    def is_right(self, prompt_id: str, content: bytes) -> bool:
        """Return whether this is the file of the prompt."""
        ...

    def runs(self) -> Mapping[str, int]:
        """Return how often each prompt ran, over all servers and their processes."""
        ...


class Supervisor:
    """Restarts a server for each POST /restart/NAME. `hooks` counts them by server."""

    def __init__(self, fleet: Fleet) -> None:
        self.hooks: Counter[str] = Counter()
        self.problems: list[str] = []
        self._fleet = fleet
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer at once; the restart goes on in the background, as that of a service manager does."""
        name = request.match_info["name"]
        self.hooks[name] += 1
        task = asyncio.create_task(self._restart(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.Response(status=202)

    async def _restart(self, name: str) -> None:
        try:
            await self._fleet.restart(name)
        except Exception as error:
            self.problems.append(f"the restart of {name} failed: {error!r:.500}")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen within the block; yield the address of the hook, with a place for the server's name."""
        app = web.Application()
        app.router.add_post("/restart/{name}", self.handle)
        runner, port = web.AppRunner(app, access_log=None), free_port()
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield f"http://127.0.0.1:{port}/restart/{{name}}"
        finally:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await runner.cleanup()
