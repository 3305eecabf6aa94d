"""A simulated server on a real socket; a test replaces some of its responses and frames."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from ssl import SSLContext
from typing import Any

from aiohttp import WSMsgType, web

from statemachine.simulator import Profile, SimServer
from statemachine.simulator.http import Request
from statemachine.simulator.nodes import Graph

MARKER = "comfywarm"


@dataclass(frozen=True)
class Raw:
    """Raw bytes to send: one or several WebSocket frames that no library builds."""

    data: bytes


Frame = str | bytes | Raw
FrameFilter = Callable[[dict[str, Any], str], Iterable[Frame]]
"""(decoded frame, its text) → the frames to send instead."""


@dataclass(frozen=True)
class Exchange:
    """One request and the ways to respond to it."""

    proxy: "FaultProxy"
    request: web.Request
    body: bytes

    async def forward(self, body: bytes | None = None) -> web.Response:
        """Return the simulated server's response; `body` replaces the request's body."""
        request = self.request
        sent = self.body if body is None else body
        answer = await self.proxy.server.handle(
            Request(request.method, request.path, request.query, sent, request.headers)
        )
        headers = {"Content-Type": answer.content_type} if answer.content_type else {}
        return web.Response(status=answer.status, body=answer.body or None, headers=headers)

    async def raw(self, *pieces: bytes, pause_s: float = 0.0, close: bool = True) -> web.Response:
        """Write raw bytes as the response, then close the connection or keep it open."""
        transport = self.request.transport
        for piece in pieces:
            if transport is not None and not transport.is_closing():
                transport.write(piece)
                await asyncio.sleep(pause_s)
        if not close:
            await self.hang()
        if transport is not None:
            transport.close()
        return web.Response(status=500)

    async def reset(self) -> web.Response:
        """Reset the connection."""
        if isinstance(self.request.transport, asyncio.Transport):
            self.request.transport.abort()
        return web.Response(status=500)

    async def hang(self) -> web.Response:
        """Send no response until the client or the test ends the connection."""
        await asyncio.Event().wait()
        raise AssertionError


Responder = Callable[[Exchange], Awaitable[web.StreamResponse]]
Responders = Mapping[str, Responder]


class FaultProxy:
    """A simulated server behind `responders`: `METHOD /path` → the response instead of its own.

    The key may be a pattern, `GET /history/*`; the first that matches is used.
    """

    def __init__(self, profile: Profile, scale: float = 0.01) -> None:
        self.server = SimServer(profile, Random(1), scale=scale)
        self.responders: dict[str, Responder] = {}
        self.frame_filter: FrameFilter = lambda _, text: (text,)
        self.pongs = True
        self.posts: list[dict[str, Any]] = []
        """The bodies of all POST /prompt, oldest first."""
        self.requests: Counter[str] = Counter()
        self.client_ids: list[str] = []
        """The client id of each connection to /ws."""
        self.most_in_flight = 0
        """The highest number of warm-ups that were queued or running at once."""
        self.url = ""
        self._sinks: set[_Sink] = set()

    @asynccontextmanager
    async def listening(self, tls: SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[None]:
        """Serve on a free port of a loopback address and set `url`."""
        app = web.Application(client_max_size=100 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await self.server.start()
        try:
            await web.TCPSite(runner, host, 0, ssl_context=tls).start()
            self.url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
            yield
        finally:
            await self.server.stop()
            await runner.cleanup()

    @property
    def prompt_ids(self) -> list[str]:
        """The ids of all posted prompts, oldest first."""
        return [post["prompt_id"] for post in self.posts]

    @property
    def ended(self) -> list[str]:
        """The ids of all warm-ups in the server's history."""
        history = self.server.process.queue.history
        return [prompt_id for prompt_id, entry in history.items() if MARKER in entry["prompt"][3]]

    def queue_foreign(self, graph: Graph, **extra_data: Any) -> str:
        """Queue a user's prompt; return its id."""
        return self.server.process.enqueue(graph, self.server.new_prompt_id(), {"client_id": "a-user", **extra_data})

    def send(self, *frames: Frame) -> None:
        """Send frames to every open socket without the filter."""
        for sink in self._sinks:
            for frame in frames:
                sink.unsent.put_nowait(frame)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        key = f"{request.method} {request.path}"
        self.requests[key] += 1
        exchange = Exchange(self, request, await request.read())
        if request.path == "/ws":
            self.client_ids.append(request.query.get("clientId", ""))
        if key == "POST /prompt":
            self.posts.append(json.loads(exchange.body))
        try:
            responder = next((one for pattern, one in self.responders.items() if fnmatchcase(key, pattern)), None)
            if responder is not None:
                return await responder(exchange)
            return await (self._serve_socket(request) if request.path == "/ws" else exchange.forward())
        except ConnectionError:
            return await exchange.reset()
        finally:
            self.most_in_flight = max(self.most_in_flight, self._in_flight())

    def _in_flight(self) -> int:
        queue = self.server.process.queue
        items = [*queue.pending, *([queue.running] if queue.running else [])]
        return sum(MARKER in item.extra_data for item in items)

    async def _serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=self.pongs, timeout=0.1)
        await ws.prepare(request)
        sink = _Sink(self)
        self._sinks.add(sink)
        sid = self.server.connect(request.query.get("clientId", ""), sink)
        pump = asyncio.create_task(sink.pump(ws, request))
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    self.server.receive(sid, message.data)
        finally:
            self._sinks.discard(sink)
            self.server.disconnect(sid, sink)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        return ws


class _Sink:
    """One open socket, which filters the simulator's frames."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self.unsent: asyncio.Queue[Frame | None] = asyncio.Queue()

    def send(self, text: str) -> None:
        for frame in self._proxy.frame_filter(json.loads(text), text):
            self.unsent.put_nowait(frame)

    def close(self) -> None:
        self.unsent.put_nowait(None)

    async def pump(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        with suppress(ConnectionError):
            while (frame := await self.unsent.get()) is not None:
                if isinstance(frame, Raw):
                    await _write(request, frame.data)
                elif isinstance(frame, str):
                    await ws.send_str(frame)
                else:
                    await ws.send_bytes(frame)
        await ws.close()


async def _write(request: web.Request, data: bytes) -> None:
    if request.transport is not None and not request.transport.is_closing():
        request.transport.write(data)
    await asyncio.sleep(0)
