"""Servers on the loopback interface, and transports to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import SecretStr

from statemachine.comfyui.network import NetworkTransport, new_session

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOST = "127.0.0.1"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Yield the URL of a server that answers every request with `handler`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_bytes(answer: bytes) -> AsyncIterator[str]:
    """Yield the URL of a server that answers a request with these bytes and closes the connection.

    It closes the connection of a TLS handshake without an answer.
    """

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.read(1)).isalpha():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(respond, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def transport_to(url: str, timeout_s: float = 5.0, **headers: str) -> AsyncIterator[NetworkTransport]:
    async with new_session() as session:
        secrets = {name: SecretStr(value) for name, value in headers.items()}
        yield NetworkTransport(session, url, secrets, lambda: timeout_s)
