"""Real sockets for simulated servers: one aiohttp application with many listening sockets on loopback.

The local address of a connection selects the server.
"""

import asyncio
import contextlib
import socket
from typing import Any

from aiohttp import WSMsgType, web

from statemachine.simulator.http import Request
from statemachine.simulator.routes import is_authorized
from statemachine.simulator.server import ServerModel

Address = tuple[str, int]
BACKLOG = 128
SOCKET_PATHS = {"/ws", "/api/ws"}
UNSENT_LIMIT = 10_000
"""Frames queued for one client; a client that does not read them is disconnected."""


class Gateway:
    """The listening sockets of one process. Use `async with`, then `add` servers and start them."""

    def __init__(self) -> None:
        app = web.Application(client_max_size=100 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._servers: dict[Address, ServerModel] = {}
        self._listeners: list[_SocketListener] = []
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> "Gateway":
        await self._runner.setup()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        await self._runner.cleanup()
        for listener in self._listeners:
            listener.release()

    def add(self, server: ServerModel, host: str, port: int) -> Address:
        """Assign an address to a server (port 0: any free one). The server listens once it is started."""
        listener = _SocketListener(self, _bound(host, port))
        server.listener = listener
        self._listeners.append(listener)
        self._servers[listener.address] = server
        return listener.address

    def http(self) -> web.Server:
        server = self._runner.server
        if server is None:
            raise RuntimeError("the gateway is not open: use `async with Gateway()`")
        return server

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        server = self._servers.get(_local_address(request.transport))
        if server is None:  # the client has disconnected, so its local address is unknown
            return web.Response(status=503)
        try:
            if request.path in SOCKET_PATHS and is_authorized(server, request.headers, request.query):
                return await _serve_socket(server, request)
            return await _serve_http(server, request)
        except ConnectionError:
            _abort(request.transport)
            return web.Response(status=503)


async def _serve_http(server: ServerModel, request: web.Request) -> web.Response:
    body = await request.read()
    response = await server.handle(Request(request.method, request.path, request.query, body, request.headers))
    headers = {"Content-Type": response.content_type} if response.content_type else {}
    return web.Response(status=response.status, body=response.body or None, headers=headers)


class _SocketListener:
    """The listening socket of one server. It reopens at the same port."""

    def __init__(self, gateway: Gateway, reserved: socket.socket) -> None:
        self.address: Address = reserved.getsockname()
        self._gateway = gateway
        self._listening: asyncio.Server | None = None
        # Bound but not listening, it reserves the port while the server is down.
        self._reserved = reserved

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._gateway.http(), sock=self._reserved, backlog=BACKLOG)

    async def close(self) -> None:
        """Refuse new connections and abort the open ones, as a killed process does."""
        if self._listening is None:
            return
        self._listening.close()
        self._listening = None
        self._reserved = _bound(*self.address)
        for connection in self._gateway.http().connections:
            if connection.transport and _local_address(connection.transport) == self.address:
                _abort(connection.transport)

    def release(self) -> None:
        """Release the reserved port."""
        self._reserved.close()


class _SocketSink:
    """Send in order without blocking the server, as ComfyUI's message queue does."""

    def __init__(self) -> None:
        self._unsent: asyncio.Queue[str | None] = asyncio.Queue(UNSENT_LIMIT)

    def send(self, text: str) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._unsent.put_nowait(text)
            return
        self.close()

    def close(self) -> None:
        """Drop the unsent frames and close the connection."""
        while not self._unsent.empty():
            self._unsent.get_nowait()
        self._unsent.put_nowait(None)

    async def pump(self, ws: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while (text := await self._unsent.get()) is not None:
                await ws.send_str(text)
        await ws.close()


async def _serve_socket(server: ServerModel, request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(heartbeat=None)
    await ws.prepare(request)
    sink = _SocketSink()
    sid = server.connect(request.query.get("clientId", ""), sink)
    pump = asyncio.create_task(sink.pump(ws))
    try:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                server.receive(sid, message.data)
    finally:
        server.disconnect(sid, sink)
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
    return ws


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address; port 0 takes a free port."""
    listener = socket.socket()
    try:
        # Bind port 0 without SO_REUSEADDR: with it, the kernel may return a port that another server has reserved.
        if port == 0:
            listener.bind((host, 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port:
            listener.bind((host, port))
    except OSError as cause:
        listener.close()
        raise OSError(cause.errno, f"cannot listen on {host}:{port}: {cause.strerror}") from cause
    return listener


def _local_address(transport: asyncio.BaseTransport | None) -> Address:
    """Return (host, port) of the local end; ("", 0) if the connection is closed."""
    name: Any = transport.get_extra_info("sockname") if transport else None
    return (name[0], name[1]) if name else ("", 0)


def _abort(transport: asyncio.BaseTransport | None) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()
