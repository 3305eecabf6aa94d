"""Servers to measure against: bare ones, so that whoever is measured is the bottleneck and not they.

They speak the part of ComfyUI that the daemon uses. What is asked seldom is answered by the simulator's own routes; /ws
is websockets' Sans-I/O protocol, and frames are encoded once and written straight to the transports. That a socket's
other end has taken in all that was sent is seen by a ping: its pong comes after everything before it.

Ten thousand servers have addresses of their own but only a few listening sockets: a descriptor for each would be more
than many systems allow, beside those of the connections. A socket that is bound to every address of the device `lo`
answers for all of 127.0.0.0/8 and cannot be reached from elsewhere; at which address it was called says whom was meant.
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

from statemachine.simulator import PERSONAS
from statemachine.simulator.routes import Request as SimRequest
from statemachine.simulator.routes import answer
from statemachine.simulator.server import SimServer

PORTS_A_HOST = 10
FIRST_PORT = 20_000 + os.getpid() % 1_000 * PORTS_A_HOST
"""Below the ports that the kernel gives to connections, and not where another bench listens that runs beside."""
HOSTS_A_NET = 250
BACKLOG = 4_096

PING = Frame(Opcode.PING, b"?").serialize(mask=False)


def text_frame(kind: str, data: dict[str, Any]) -> bytes:
    """One frame as it goes over the wire, written as ComfyUI writes it: with blanks."""
    return Frame(Opcode.TEXT, json.dumps({"type": kind, "data": data}).encode()).serialize(mask=False)


def status_frame(queue_remaining: int, **more: str) -> bytes:
    """The frame that ComfyUI sends first, and whenever its queue changes."""
    return text_frame("status", {"status": {"exec_info": {"queue_remaining": queue_remaining}}, **more})


def addresses(count: int) -> list[tuple[str, int]]:
    """Where so many servers listen: 127.0.1.1, 127.0.1.2, … with ten ports each, and on from 127.0.2.1."""
    return [(_host(index // PORTS_A_HOST), FIRST_PORT + index % PORTS_A_HOST) for index in range(count)]


def _host(number: int) -> str:
    return f"127.0.{1 + number // HOSTS_A_NET}.{1 + number % HOSTS_A_NET}"


def _listener(port: int) -> socket.socket:
    """At this port of every address of loopback."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.bind(("0.0.0.0", port))  # noqa: S104 - only at the device `lo`
    return listener


class StandIn:
    """A fleet of bare servers. `loaded` says of each whether its cache check finds everything, and may be changed.

    `on_prompt` is told the server's number and the body of each POST /prompt, once it is answered.
    """

    def __init__(self, count: int, *, loaded: bool = True) -> None:
        self.addresses = addresses(count)
        self._numbers = {address: number for number, address in enumerate(self.addresses)}
        self.loaded = [loaded] * count
        self.sockets: dict[int, Connection] = {}
        self.on_prompt: Callable[[int, dict[str, Any]], None] = lambda _number, _body: None
        self.running: dict[int, str] = {}
        """The id of the prompt that a server's queue says is running; whoever plays its end takes it out."""
        self.asked = 0
        """How many cache checks were answered."""
        self._pongs_wanted = 0
        self._changed = asyncio.Event()
        persona = {True: PERSONAS["loaded"], False: PERSONAS["cold"]}
        self._models = {loaded: SimServer(persona[loaded], Random(1)) for loaded in persona}  # noqa: S311
        self._answers: dict[tuple[bool, str, str], bytes] = {}

    @property
    def urls(self) -> list[str]:
        """Of every server, in order."""
        return [f"http://{host}:{port}" for host, port in self.addresses]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["StandIn"]:
        """All of them listen within the block."""
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

    async def connected(self, count: int, within_s: float) -> None:
        """Return once so many servers have a /ws connection."""
        await self._until(lambda: len(self.sockets) >= count, within_s)

    async def all_asked(self, count: int, within_s: float) -> None:
        """Return once so many cache checks were answered."""
        await self._until(lambda: self.asked >= count, within_s)

    async def all_taken_in(self, within_s: float) -> None:
        """Return once every client has taken in what was sent to it until now."""
        self._pongs_wanted = len(self.sockets)
        for connection in list(self.sockets.values()):
            connection.send(PING)
        await self._until(lambda: self._pongs_wanted <= 0, within_s)

    async def pace(self, frames: Iterable[tuple[int, bytes]], rate: float, seconds: float) -> int:
        """Send (server, frame) pairs, one by one, at so many a second; how many were sent."""
        loop, source = asyncio.get_running_loop(), iter(frames)
        began, sent = loop.time(), 0
        while (elapsed := loop.time() - began) < seconds:
            while sent < elapsed * rate:
                number, frame = next(source)
                self.sockets[number].send(frame)
                sent += 1
            await asyncio.sleep(0.001)  # what is shorter, uvloop takes for nothing, and this process would spin
        return sent

    async def _until(self, holds: Callable[[], bool], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    # What the connections tell and ask.

    def number_at(self, address: tuple[str, int]) -> int:
        """Of the server that listens there."""
        return self._numbers[address]

    def opened(self, number: int, connection: "Connection") -> None:
        """A /ws connection stands."""
        self.sockets[number] = connection
        self._changed.set()

    def closed(self, number: int, connection: "Connection") -> None:
        """A connection has ended."""
        if self.sockets.get(number) is connection:
            del self.sockets[number]
            self._changed.set()

    def pong(self) -> None:
        """A client has taken in everything before our ping."""
        self._pongs_wanted -= 1
        self._changed.set()

    def answer(self, number: int, method: str, target: str, body: bytes) -> bytes:
        """The whole HTTP answer."""
        if method == "POST" and target == "/prompt":
            return self._take_prompt(number, orjson.loads(body))
        if target.startswith("/cache/check"):
            self.asked += 1
            self._changed.set()
        if target == "/queue" and number in self.running:
            entry = [1, self.running[number], {}, {}, []]
            queue = {"queue_running": [entry], "queue_pending": []}
            return http_answer(200, "application/json", orjson.dumps(queue))
        key = self.loaded[number], method, target
        if key not in self._answers:
            self._answers[key] = self._modelled(*key)
        return self._answers[key]

    def _take_prompt(self, number: int, body: dict[str, Any]) -> bytes:
        asyncio.get_running_loop().call_soon(self.on_prompt, number, body)
        reply = {"prompt_id": body["prompt_id"], "number": 1, "node_errors": {}}
        return http_answer(200, "application/json", orjson.dumps(reply))

    def _modelled(self, loaded: bool, method: str, target: str) -> bytes:
        path, _, query = target.partition("?")
        pairs = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
        made = answer(self._models[loaded], SimRequest(method, unquote(path), pairs, b"", {}))
        return http_answer(made.status, made.content_type or "application/octet-stream", made.body)


def http_answer(status: int, content_type: str, body: bytes) -> bytes:
    """An HTTP/1.1 answer after which the connection stays open."""
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One TCP connection to one of the servers: HTTP requests, until one of them asks for /ws."""

    _number: int

    def __init__(self, fleet: StandIn) -> None:
        self._fleet = fleet
        self._received = b""
        self._ws: ServerProtocol | None = None
        self._transport: asyncio.Transport

    def send(self, data: bytes) -> None:
        """Write raw bytes: frames that were encoded before."""
        self._transport.write(data)

    def cut(self) -> None:
        """End it at once."""
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
        """Answer the first request that was received; False where its body is not all there."""
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
        assert self._ws is not None  # noqa: S101 - only called once it stands
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
        assert self._ws is not None  # noqa: S101 - only called once it stands
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
