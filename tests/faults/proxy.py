"""A simulated server on a real socket; a test replaces some of its responses and frames."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from ssl import SSLContext
from typing import Any

from aiohttp import WSMsgType, web

from statemachine.simulator import Persona, SimServer
from statemachine.simulator.nodes import Graph

MARKER = "comfywarm"


@dataclass(frozen=True)
class Raw:
    """Bytes for the wire as they are: a WebSocket frame, or several, that no library would write."""

    data: bytes


Frame = str | bytes | Raw
FrameFilter = Callable[[dict[str, Any], str], Iterable[Frame]]
"""(decoded frame, its text) → what is sent in its place."""


@dataclass(frozen=True)
class Exchange:
    """One request, and the ways to answer it."""

    proxy: "FaultProxy"
    request: web.Request
    body: bytes

    async def faithful(self, body: bytes | None = None) -> web.Response:
        """The simulated server's own answer; with `body`, as if that had been posted."""
        request = self.request
        sent = self.body if body is None else body
        answer = await self.proxy.server.handle(request.method, request.path, request.query, sent, request.headers)
        headers = {"Content-Type": answer.content_type} if answer.content_type else {}
        return web.Response(status=answer.status, body=answer.body or None, headers=headers)

    async def raw(self, *pieces: bytes, pause_s: float = 0.0, close: bool = True) -> web.Response:
        """Write these bytes in place of an answer, then close the connection or leave it open for ever."""
        transport = self.request.transport
        for piece in pieces:
            if transport is not None and not transport.is_closing():
                transport.write(piece)
                await asyncio.sleep(pause_s)
        if not close:
            await self.never()
        if transport is not None:
            transport.close()
        return web.Response(status=500)

    async def cut(self) -> web.Response:
        """Reset the connection."""
        if isinstance(self.request.transport, asyncio.Transport):
            self.request.transport.abort()
        return web.Response(status=500)

    async def never(self) -> web.Response:
        """Answer nothing, until the client or the test has had enough."""
        await asyncio.Event().wait()
        raise AssertionError


Responder = Callable[[Exchange], Awaitable[web.StreamResponse]]
Responders = Mapping[str, Responder]


class FaultProxy:
    """A simulated server and what it received. `responders`: `METHOD /path` → the response instead of the server's."""

    def __init__(self, persona: Persona, scale: float = 0.01) -> None:
        self.server = SimServer(persona, Random(1), scale=scale)
        self.responders: dict[str, Responder] = {}
        self.frame_filter: FrameFilter = lambda _, text: (text,)
        self.pongs = True
        self.posts: list[dict[str, Any]] = []
        """The bodies of every POST /prompt, oldest first."""
        self.asked: Counter[str] = Counter()
        self.client_ids: list[str] = []
        """One for each time that /ws was dialled."""
        self.most_in_flight = 0
        """The most prompts of ours that were ever queued or running at once."""
        self.url = ""
        self._sinks: set[_Sink] = set()

    @asynccontextmanager
    async def listening(self, tls: SSLContext | None = None) -> AsyncIterator[None]:
        """Serve on a free port of loopback; `url` says which."""
        app = web.Application(client_max_size=100 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await self.server.start()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
            yield
        finally:
            await self.server.stop()
            await runner.cleanup()

    @property
    def prompt_ids(self) -> list[str]:
        """Those under which we posted, oldest first."""
        return [post["prompt_id"] for post in self.posts]

    @property
    def ended(self) -> list[str]:
        """The prompts of ours that are in the server's history, whatever ids it gave them."""
        history = self.server.process.queue.history
        return [prompt_id for prompt_id, entry in history.items() if MARKER in entry["prompt"][3]]

    def queue_foreign(self, graph: Graph) -> None:
        """A user's prompt."""
        self.server.process.enqueue(graph, self.server.new_prompt_id(), {"client_id": "a-user"})

    def say(self, *frames: Frame) -> None:
        """Send frames to every open socket, past the filter."""
        for sink in self._sinks:
            for frame in frames:
                sink.unsent.put_nowait(frame)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        key = f"{request.method} {request.path}"
        self.asked[key] += 1
        exchange = Exchange(self, request, await request.read())
        if request.path == "/ws":
            self.client_ids.append(request.query.get("clientId", ""))
        if key == "POST /prompt":
            self.posts.append(json.loads(exchange.body))
        try:
            responder = self.responders.get(key)
            if responder is not None:
                return await responder(exchange)
            return await (self._serve_socket(request) if request.path == "/ws" else exchange.faithful())
        except ConnectionError:
            return await exchange.cut()
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
    """One open socket: the simulator's frames go through the filter."""

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
