"""A fake of ComfyUI's server.py, which the companion node imports by this name from sys.path."""

import asyncio
from typing import Any, ClassVar

from aiohttp import web

Item = tuple[Any, ...]


class PromptQueue:
    """The methods that the node uses in an old release, which has no get_current_queue_volatile."""

    def __init__(self) -> None:
        self.running: list[Item] = []
        self.pending: list[Item] = []

    def put(self, item: Item) -> None:
        self.pending.append(item)

    def get_current_queue(self) -> tuple[list[Item], list[Item]]:
        return self.running, self.pending


class PromptServer:
    """Records the frames that it is asked to send."""

    instance: ClassVar["PromptServer"]
    port: int  # set when the server listens

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.routes = web.RouteTableDef()
        self.prompt_queue = PromptQueue()
        self.number = 7
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.frame_sent = asyncio.Event()

    def send_sync(self, event: str, data: dict[str, Any], sid: str | None = None) -> None:
        assert sid is None, "the node's frames are for all clients"
        self.sent.append((event, data))
        self.frame_sent.set()
