"""Stands in for ComfyUI's server.py, found by the companion node under this name on sys.path."""

import asyncio
from typing import Any, ClassVar

from aiohttp import web

Item = tuple[Any, ...]


class PromptQueue:
    """Only what the node touches; the reading without a copy is a newer release's."""

    def __init__(self) -> None:
        self.running: list[Item] = []
        self.pending: list[Item] = []

    def put(self, item: Item) -> None:
        self.pending.append(item)

    def get_current_queue(self) -> tuple[list[Item], list[Item]]:
        return self.running, self.pending


class PromptServer:
    """Keeps what it is told to send."""

    instance: ClassVar["PromptServer"]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.routes = web.RouteTableDef()
        self.prompt_queue = PromptQueue()
        self.number = 7
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.told = asyncio.Event()

    def send_sync(self, event: str, data: dict[str, Any], sid: str | None = None) -> None:
        assert sid is None, "the node's frames are for everyone"
        self.sent.append((event, data))
        self.told.set()
