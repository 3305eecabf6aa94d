"""GET /ws: the frames of a client's prompts, from all servers that run them."""

import asyncio
from contextlib import suppress
from uuid import uuid4

from aiohttp import WSMsgType, web

from statemachine.gateway import frames
from statemachine.gateway.clients import MAX_SOCKETS, Clients
from statemachine.gateway.delivery import FrameDelivery
from statemachine.gateway.finder import Finder
from statemachine.gateway.json_text import loads
from statemachine.gateway.requests import client_of
from statemachine.gateway.sockets import ClientSocket, Sockets
from statemachine.gateway.uploads import MAX_FILE

PING_S = 30.0
MAX_MESSAGE = 64 * 1024
MAX_CLIENT_ID = 200
FEATURES = {"supports_preview_metadata": False, "max_upload_size": MAX_FILE}
"""Previews arrive in the form that every client knows."""


class ClientWs:
    """Serves the /ws connections of clients."""

    def __init__(self, clients: Clients, sockets: Sockets, delivery: FrameDelivery, finder: Finder) -> None:
        self._clients = clients
        self._sockets = sockets
        self._delivery = delivery
        self._finder = finder

    def routes(self) -> list[web.RouteDef]:
        """Return the route that this object handles."""
        return [web.get("/ws", self.serve)]

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Send frames until the client leaves."""
        client = client_of()
        with self._clients.request(client, MAX_SOCKETS):
            ws = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=MAX_MESSAGE)
            await ws.prepare(request)
            sid = request.query.get("clientId", "")[:MAX_CLIENT_ID] or uuid4().hex
            await self._serve(ws, (client, sid))
        return ws

    async def _serve(self, ws: web.WebSocketResponse, key: tuple[str, str]) -> None:
        socket = ClientSocket(ws)
        socket.send(frames.status(self._delivery.remaining(*key), key[1]))
        self._sockets.add(key, socket)
        pump = asyncio.create_task(socket.pump())
        reading = asyncio.create_task(_read(ws, socket))
        adopting = asyncio.create_task(self._adopt(key))
        try:
            await asyncio.wait({pump, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sockets.remove(key, socket)
            for task in (pump, reading, adopting):
                task.cancel()
            await asyncio.gather(pump, reading, adopting, return_exceptions=True)
            with suppress(ConnectionError):
                await ws.close()

    async def _adopt(self, key: tuple[str, str]) -> None:
        """Find what the client has sent through another gateway, whose end it may be waiting for here."""
        before = self._delivery.remaining(*key)
        await self._finder.adopt(key[0])
        if self._delivery.remaining(*key) != before:
            self._delivery.send_status(*key)


async def _read(ws: web.WebSocketResponse, socket: ClientSocket) -> None:
    """Answer the feature flags with which a client may begin; everything else is ignored."""
    is_first = True
    async for message in ws:
        if message.type is WSMsgType.TEXT and is_first:
            with suppress(ValueError, AttributeError):
                if loads(message.data.encode()).get("type") == "feature_flags":
                    socket.send(frames.frame("feature_flags", FEATURES))
            is_first = False
