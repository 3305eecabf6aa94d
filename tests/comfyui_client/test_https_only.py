"""Servers that speak only https where the URL has http: the error says so, and TLS is tried once until an answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.comfyui.errors import NotAnsweringError
from tests.comfyui_client.servers import HOST, transport_to
from tests.security.authority import Authority

HELLO = 0x16
"""The first byte of a TLS handshake."""


class Server:
    """Breaks off every connection without `tls`, and counts connections and handshakes. It answers if `answers`."""

    def __init__(self) -> None:
        self.answers = False
        self.connections = 0
        self.handshakes = 0

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        self.connections += 1
        self.handshakes += first == bytes([HELLO])
        if self.answers:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[str]:
    async with await asyncio.start_server(server.respond, HOST, 0) as listener:
        yield f"http://{HOST}:{listener.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def speaking_tls(context: ssl.SSLContext) -> AsyncIterator[str]:
    """Yield the http URL of a server that speaks only https."""
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
    try:
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_http_to_server_of_https_names_the_scheme(tmp_path: Path) -> None:
    """The certificate is not trusted, which does not matter here."""
    context = Authority(tmp_path).certify(HOST).server_context()
    async with speaking_tls(context) as url, transport_to(url) as transport:
        for _ in range(2):
            with pytest.raises(NotAnsweringError) as request:
                await transport.request("GET", "/prompt")
            with pytest.raises(NotAnsweringError) as socket:
                await transport.connect("client")
            assert {request.value.message.code, socket.value.message.code} == {"https_only"}


async def test_server_that_breaks_off_is_asked_for_tls_once_until_it_answers() -> None:
    server = Server()
    async with listening(server) as url, transport_to(url) as transport:
        for round_number in (1, 2):
            for _ in range(3):
                with pytest.raises(NotAnsweringError) as raised:
                    await transport.request("GET", "/prompt")
                assert raised.value.message.code != "https_only"
            assert server.handshakes == round_number
            server.answers = True
            assert (await transport.request("GET", "/prompt")).status == 200
            server.answers = False


async def test_server_of_https_url_is_not_asked_for_tls_again() -> None:
    server = Server()
    async with listening(server) as url, transport_to(url.replace("http:", "https:")) as transport:
        with pytest.raises(NotAnsweringError):
            await transport.request("GET", "/prompt")
    assert server.connections == server.handshakes == 1
