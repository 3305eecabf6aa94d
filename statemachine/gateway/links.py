"""The gateway's own /ws connection to each server, on which the frames of all its prompts arrive."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import aiohttp
from loguru import logger

from statemachine.gateway.json_text import loads
from statemachine.gateway.upstream import Upstream
from statemachine.settings import ServerConfig

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

OnText = Callable[[str, str, dict[str, Any], str], None]
"""Takes the server's name, the kind of the frame, its data, and its text."""
OnBinary = Callable[[str, bytes], None]


class Links:
    """One connection to each server. `on_up` and `on_down` are called with its name when one opens and ends."""

    def __init__(
        self,
        upstream: Upstream,
        link_id: str,
        on_text: OnText,
        on_binary: OnBinary,
        on_up: Callable[[str], None],
        on_down: Callable[[str], None],
    ) -> None:
        self._upstream = upstream
        self._link_id = link_id
        self._on_text = on_text
        self._on_binary = on_binary
        self._on_up = on_up
        self._on_down = on_down
        self._open: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._opened_at: dict[str, float] = {}
        self._kept: dict[str, tuple[ServerConfig, asyncio.Task[None]]] = {}
        self._group = asyncio.TaskGroup()

    def open_since(self, server: str) -> float | None:
        """Return since when frames of this server arrive, on the monotonic clock, None if they do not."""
        return self._opened_at.get(server)

    async def reopen(self, server: str) -> None:
        """Close a connection on which frames were missed; it is opened again."""
        if (ws := self._open.get(server)) is not None:
            await ws.close()

    async def run(self, servers: Iterable[ServerConfig]) -> None:
        """Keep a connection to each server until cancelled."""
        async with self._group:
            self.set_servers(servers)
            await asyncio.Event().wait()

    def set_servers(self, servers: Iterable[ServerConfig]) -> None:
        """Keep connections to these servers instead. Those to servers that do not change stay open."""
        wanted = {server.name: server for server in servers}
        for name, (server, task) in list(self._kept.items()):
            if wanted.get(name) != server:
                task.cancel()
                del self._kept[name]
        for name, server in wanted.items():
            if name not in self._kept:
                self._kept[name] = server, self._group.create_task(self._keep(server))

    async def _keep(self, server: ServerConfig) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                await self._listen(server)
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _listen(self, server: ServerConfig) -> None:
        ws = await self._upstream.connect(server, self._link_id)
        self._open[server.name], self._opened_at[server.name] = ws, time.monotonic()
        try:
            self._on_up(server.name)
            async for message in ws:
                self._receive(server.name, message)
        finally:
            del self._open[server.name], self._opened_at[server.name]
            self._on_down(server.name)
            await ws.close()

    def _receive(self, server: str, message: aiohttp.WSMessage) -> None:
        try:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._on_binary(server, message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                frame = loads(message.data.encode("utf-8", "replace"))
                if isinstance(frame, dict) and isinstance(data := frame.get("data"), dict):
                    self._on_text(server, str(frame.get("type")), data, message.data)
        except Exception:
            logger.exception("a frame of {} could not be handled", server)
