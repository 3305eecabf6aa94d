"""Stand-in servers that are fast enough not to be the bottleneck of a measurement.

They provide the part of ComfyUI that the daemon uses. Responses to rare requests come from the simulator's routes. /ws
uses the Sans-I/O protocol of websockets; frames are encoded once and written directly to the transports. A ping shows
that a client has read everything, because its pong follows.

Ten thousand servers share a few listening sockets, because a file descriptor for each would exceed the limit of many
systems. A socket bound to every address of the device `lo` serves all of 127.0.0.0/8 and cannot be reached from other
machines. The address of a connection identifies the server.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast
from urllib.parse import unquote

import orjson
from typing_extensions import override
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from statemachine.simulator import PROFILES, SimServer
from statemachine.simulator.http import Request as SimRequest
from statemachine.simulator.routes import respond

PORTS_PER_HOST = 10
FIRST_PORT = 20_000 + os.getpid() % 1_000 * PORTS_PER_HOST
"""Below the kernel's ephemeral ports, and different for each process."""
HOSTS_PER_NET = 250
BACKLOG = 4_096

PING = Frame(Opcode.PING, b"?").serialize(mask=False)


def text_frame(kind: str, data: dict[str, Any]) -> bytes:
    """Return a text frame in wire format, with the JSON formatted as ComfyUI does."""
    return Frame(Opcode.TEXT, json.dumps({"type": kind, "data": data}).encode()).serialize(mask=False)


def status_frame(queue_remaining: int, **more: str) -> bytes:
    """Return the frame that ComfyUI sends first and whenever its queue changes."""
    return text_frame("status", {"status": {"exec_info": {"queue_remaining": queue_remaining}}, **more})


def addresses(count: int) -> list[tuple[str, int]]:
    """Return the addresses of `count` servers: 127.0.1.1, 127.0.1.2, … with ten ports each."""
    return [(_host(index // PORTS_PER_HOST), FIRST_PORT + index % PORTS_PER_HOST) for index in range(count)]


def _host(number: int) -> str:
    return f"127.0.{1 + number // HOSTS_PER_NET}.{1 + number % HOSTS_PER_NET}"


def _listener(port: int) -> socket.socket:
    """Listen on this port of every loopback address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.bind(("0.0.0.0", port))  # noqa: S104 - only on the device `lo`
    return listener


class StandIn:
    """A fleet of stand-in servers.

    `loaded` holds for each server whether its cache check finds everything; a case may change it. `on_prompt` is called
    with the server's number and the body of each POST /prompt, after the response.
    """

    def __init__(self, count: int, *, loaded: bool = True) -> None:
        self.addresses = addresses(count)
        self._numbers = {address: number for number, address in enumerate(self.addresses)}
        self.loaded = [loaded] * count
        self.sockets: dict[int, Connection] = {}
        self.on_prompt: Callable[[int, dict[str, Any]], None] = lambda _number, _body: None
        self.running: dict[int, str] = {}
        """The prompt id in each server's queue. The case removes it when the prompt ends."""
        self.checks = 0
        """Number of cache checks answered."""
        self._pongs_wanted = 0
        self._changed = asyncio.Event()
        profile = {True: PROFILES["loaded"], False: PROFILES["cold"]}
        self._models = {loaded: SimServer(profile[loaded], Random(1)) for loaded in profile}  # noqa: S311
        self._responses: dict[tuple[bool, str, str], bytes] = {}

    @property
    def urls(self) -> list[str]:
        """Return the URL of every server, in order."""
        return [f"http://{host}:{port}" for host, port in self.addresses]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["StandIn"]:
        """Listen within the block."""
        loop = asyncio.get_running_loop()
        ports = sorted({port for _, port in self.addresses})
        listeners = [
            await loop.create_server(lambda: Connection(self), sock=_listener(port), backlog=BACKLOG) for port in ports
        ]
        try:
            yield self
        finally:
            for listener in listeners:
                listener.close()
            for connection in list(self.sockets.values()):
                connection.cut()

    async def wait_connected(self, count: int, timeout_s: float) -> None:
        """Wait until `count` servers have a /ws connection."""
        await self._until(lambda: len(self.sockets) >= count, timeout_s)

    async def wait_checked(self, count: int, timeout_s: float) -> None:
        """Wait until `count` cache checks have been answered."""
        await self._until(lambda: self.checks >= count, timeout_s)

    async def wait_read(self, timeout_s: float) -> None:
        """Wait until every client has read everything sent so far."""
        self._pongs_wanted = len(self.sockets)
        for connection in list(self.sockets.values()):
            connection.send(PING)
        await self._until(lambda: self._pongs_wanted <= 0, timeout_s)

    async def pace(self, frames: Iterable[tuple[int, bytes]], rate: float, seconds: float) -> int:
        """Send (server, frame) pairs one by one, `rate` per second; return how many were sent."""
        loop, source = asyncio.get_running_loop(), iter(frames)
        began, sent = loop.time(), 0
        while (elapsed := loop.time() - began) < seconds:
            while sent < elapsed * rate:
                number, frame = next(source)
                self.sockets[number].send(frame)
                sent += 1
            await asyncio.sleep(0.001)  # uvloop does not sleep for shorter times
        return sent

    async def _until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    # Called by the connections.

    def number_at(self, address: tuple[str, int]) -> int:
        """Return the number of the server at this address."""
        return self._numbers[address]

    def opened(self, number: int, connection: "Connection") -> None:
        """Register an open /ws connection."""
        self.sockets[number] = connection
        self._changed.set()

    def closed(self, number: int, connection: "Connection") -> None:
        """Remove a closed connection."""
        if self.sockets.get(number) is connection:
            del self.sockets[number]
            self._changed.set()

    def pong(self) -> None:
        """Count a pong: its client has read everything sent before the ping."""
        self._pongs_wanted -= 1
        self._changed.set()

    def answer(self, number: int, method: str, target: str, body: bytes) -> bytes:
        """Return the whole HTTP response."""
        if method == "POST" and target == "/prompt":
            return self._take_prompt(number, orjson.loads(body))
        if target.startswith("/cache/check"):
            self.checks += 1
            self._changed.set()
        if target == "/queue" and number in self.running:
            entry = [1, self.running[number], {}, {}, []]
            queue = {"queue_running": [entry], "queue_pending": []}
            return http_response(200, "application/json", orjson.dumps(queue))
        key = self.loaded[number], method, target
        if key not in self._responses:
            self._responses[key] = self._modelled(*key)
        return self._responses[key]

    def _take_prompt(self, number: int, body: dict[str, Any]) -> bytes:
        asyncio.get_running_loop().call_soon(self.on_prompt, number, body)
        reply = {"prompt_id": body["prompt_id"], "number": 1, "node_errors": {}}
        return http_response(200, "application/json", orjson.dumps(reply))

    def _modelled(self, loaded: bool, method: str, target: str) -> bytes:
        path, _, query = target.partition("?")
        pairs = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        response = respond(self._models[loaded], SimRequest(method, unquote(path), pairs, b"", {}))
        return http_response(response.status, response.content_type or "application/octet-stream", response.body)


def http_response(status: int, content_type: str, body: bytes) -> bytes:
    """Return an HTTP/1.1 response that keeps the connection open."""
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """A TCP connection to one of the servers: HTTP requests, or /ws."""

    _number: int

    def __init__(self, fleet: StandIn) -> None:
        self._fleet = fleet
        self._received = b""
        self._ws: ServerProtocol | None = None
        self._transport: asyncio.Transport

    def send(self, data: bytes) -> None:
        """Write encoded frames."""
        self._transport.write(data)

    def cut(self) -> None:
        """Abort the connection."""
        self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own classes do not derive from it
        self._number = self._fleet.number_at(transport.get_extra_info("sockname"))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._fleet.closed(self._number, self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._ws is not None:
            self._feed(data)
            return
        self._received += data
        while self._ws is None and b"\r\n\r\n" in self._received:
            if self._received.startswith(b"GET /ws"):
                self._ws = ServerProtocol(max_size=None)
                self._feed(self._received)
            elif not self._answer_one():
                return

    def _answer_one(self) -> bool:
        """Answer the first received request; return False if its body is incomplete."""
        head, _, rest = self._received.partition(b"\r\n\r\n")
        length = _content_length(head)
        if len(rest) < length:
            return False
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self._received = rest[length:]
        self._transport.write(self._fleet.answer(self._number, method, target, rest[:length]))
        if b"\r\nconnection: close" in head.lower():
            self._transport.close()
        return True

    def _feed(self, data: bytes) -> None:
        assert self._ws is not None  # noqa: S101 - called only after the upgrade
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._ws.send_response(self._ws.accept(event))
                self._fleet.opened(self._number, self)
                self._flush()
                self.send(status_frame(0, sid="s"))
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self._fleet.pong()
        self._flush()

    def _flush(self) -> None:
        assert self._ws is not None  # noqa: S101 - called only after the upgrade
        for data in self._ws.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
