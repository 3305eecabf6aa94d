"""Receivers on loopback: an HTTP server and a mail server that record what they receive."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

import orjson
from aiohttp import web

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Received:
    """A received request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, object]:
        decoded: dict[str, object] = orjson.loads(self.body)
        return decoded


@dataclass
class Listener:
    """Responds with `statuses`, then with 200. If it `hangs`, it does not respond."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    hangs: bool = False
    requests: list[Received] = field(default_factory=list)
    _received: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(Received(request.path_qs, dict(request.headers), await request.read()))
        self._received.set()
        if self.hangs:
            await asyncio.sleep(PATIENCE_S)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"})

    async def until(self, count: int) -> list[Received]:
        """Wait for this number of requests and return them."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.requests) < count:
                self._received.clear()
                await self._received.wait()
        return self.requests


@asynccontextmanager
async def listening(*statuses: int, hangs: bool = False) -> AsyncIterator[Listener]:
    """Run an HTTP server on a free port."""
    listener = Listener(statuses=list(statuses), hangs=hangs)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", listener.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    listener.port = runner.addresses[0][1]
    try:
        yield listener
    finally:
        await runner.cleanup()


@dataclass
class Mailbox:
    """Accepts every mail."""

    port: int = 0
    mails: asyncio.Queue[EmailMessage] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle as much of RFC 5321 as smtplib uses."""
        with suppress(ConnectionError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"DATA":
                writer.write(b"354 continue\r\n")
                raw = await reader.readuntil(b"\r\n.\r\n")
                self.mails.put_nowait(message_from_bytes(raw[:-5], policy=policy.default))
            writer.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            await writer.drain()


@asynccontextmanager
async def receiving_mail() -> AsyncIterator[Mailbox]:
    """Run a mail server on a free port."""
    mailbox = Mailbox()
    server = await asyncio.start_server(mailbox.serve, "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    async with server:
        yield mailbox
