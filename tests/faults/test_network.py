"""Faults of the network: names, ports, certificates and proxies."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.simulator import PROFILES
from tests.faults.harness import faulty, watched
from tests.faults.process import Program
from tests.faults.proxy import Exchange, FaultProxy, Responder
from tests.faults.responses import hang, reset_connection, respond_with
from tests.faults.table import Row

EVERYTHING = (
    "GET /cache/check",
    "GET /prompt",
    "GET /queue",
    "GET /history",
    "GET /inspire/cache/list",
    "GET /ws",
    "GET /system_stats",
    "POST /prompt",
)


async def test_closed_port_is_unreachable(tmp_path: Path, expected: Row) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with watched(tmp_path, f"http://127.0.0.1:{bound.getsockname()[1]}") as harness:
            await harness.until_read(expected)


async def test_unknown_host_is_unreachable(tmp_path: Path, expected: Row) -> None:
    async with watched(tmp_path, "http://comfy.invalid:8188") as harness:
        await harness.until_read(expected)


@asynccontextmanager
async def plain(bytes_said: bytes, *, closes: bool) -> AsyncIterator[str]:
    """Run a TCP service that is not an HTTP server; yield its URL."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(bytes_said)
        if closes:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


LISTENERS = {"mute": (b"", False), "closes": (b"", True), "sends-first": (b"220 mail.example ESMTP\r\n", False)}


@pytest.mark.parametrize(("greeting", "closes"), LISTENERS.values(), ids=LISTENERS)
async def test_another_service_is_unreachable(tmp_path: Path, expected: Row, greeting: bytes, closes: bool) -> None:
    async with plain(greeting, closes=closes) as url, watched(tmp_path, url, timing={"http_timeout_s": 0.4}) as harness:
        await harness.until_read(expected)


ALL_ROUTES = {
    "proxy-502": respond_with("Bad Gateway", 502),
    "proxy-503": respond_with(b"", 503),
    "tunnel-404": respond_with("Tunnel not found", 404),
    "tunnel-530": respond_with("error code: 1033", 530),
    "tunnel-521": respond_with("error code: 521", 521),
    "tunnel-524": respond_with("error code: 524", 524),
    "reset": reset_connection,
    "hangs": hang,
}


@pytest.mark.parametrize("responder", ALL_ROUTES.values(), ids=ALL_ROUTES)
async def test_failure_of_every_route_is_unreachable_until_it_ends(
    tmp_path: Path, expected: Row, responder: Responder
) -> None:
    async with faulty(tmp_path, "loaded", timing={"http_timeout_s": 0.4}) as (harness, proxy):
        await harness.until_state("loaded")
        proxy.responders.update(dict.fromkeys(EVERYTHING, responder))
        await harness.until_read(expected)
        proxy.responders.clear()
        await harness.until_state("loaded")
        assert proxy.posts == []


@pytest.mark.parametrize("kind", ["auto", "text", "inspire", "history"])
async def test_tunnel_without_server_at_the_start_is_unreachable(tmp_path: Path, expected: Row, kind: str) -> None:
    profile = "cold" if kind == "history" else "loaded"
    absent = dict.fromkeys(EVERYTHING, respond_with("Tunnel not found", 404))
    async with faulty(tmp_path, profile, absent, cache_check={"kind": kind}) as (harness, proxy):
        await harness.until_read(expected)
        assert proxy.posts == []
        proxy.responders.clear()
        await harness.until_state("loaded")
        assert "failed" not in {dest for dest, _ in await harness.transitions("faulty")}


async def test_tunnel_of_a_failed_server_is_seen_coming_back(tmp_path: Path, expected: Row) -> None:
    """Its long backoff does not hide that it went away."""
    absent = respond_with("Tunnel not found", 404)
    responders = {"POST /prompt": respond_with(b"", 413), "GET /ws": absent}
    async with faulty(tmp_path, responders=responders) as (harness, proxy):
        await harness.until_state("failed")
        proxy.responders.update(dict.fromkeys(EVERYTHING, absent))
        await harness.until_read(expected)
        proxy.responders.clear()
        await harness.until_state("loaded")


async def test_tunnel_absent_at_the_post_is_unreachable(tmp_path: Path, expected: Row) -> None:
    """The POST is in doubt, not refused; the prompt is looked up when the server is back."""
    absent = respond_with("Tunnel not found", 404)

    async def goes_away(exchange: Exchange) -> web.StreamResponse:
        exchange.proxy.responders.update(dict.fromkeys(EVERYTHING, absent))
        exchange.proxy.responders[f"GET /history/{exchange.proxy.prompt_ids[0]}"] = absent
        return await absent(exchange)

    async with faulty(tmp_path, responders={"POST /prompt": goes_away}) as (harness, proxy):
        await harness.until_read(expected)
        proxy.responders.clear()
        await harness.until_state("loaded")
        assert len(proxy.posts) == 2
        assert "failed" not in {dest for dest, _ in await harness.transitions("faulty")}


def certificate(folder: Path, *options: str) -> ssl.SSLContext:
    """Create a self-signed certificate of 127.0.0.1 in `folder`/cert.pem; return a server context."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *names, *files, *options], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_self_signed_certificate_is_unreachable(tmp_path: Path, expected: Row) -> None:
    proxy = FaultProxy(PROFILES["cold"])
    async with proxy.listening(certificate(tmp_path)), watched(tmp_path, proxy.url) as harness:
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_http_behind_https_is_unreachable(tmp_path: Path, expected: Row) -> None:
    proxy = FaultProxy(PROFILES["cold"])
    async with proxy.listening(), watched(tmp_path, proxy.url.replace("http:", "https:")) as harness:
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_https_behind_http_is_unreachable(tmp_path: Path, expected: Row) -> None:
    proxy = FaultProxy(PROFILES["cold"])
    async with (
        proxy.listening(certificate(tmp_path)),
        watched(tmp_path, proxy.url.replace("https:", "http:")) as harness,
    ):
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_certificate_of_another_name_is_unreachable(tmp_path: Path, expected: Row) -> None:
    """A trusted certificate of 127.0.0.1 for a server that the settings call localhost."""
    proxy = FaultProxy(PROFILES["loaded"])
    program = Program(SSL_CERT_FILE=str(tmp_path / "cert.pem"))
    async with proxy.listening(certificate(tmp_path)):
        url = proxy.url.replace("127.0.0.1", "localhost")
        async with watched(tmp_path, url, start=program.start) as harness:
            await harness.until_read(expected)


AUTHORITY = """[ca]
default_ca = own
[own]
database = index.txt
default_md = sha256
policy = any
copy_extensions = copy
rand_serial = yes
[any]
commonName = supplied
"""


def expired(folder: Path) -> ssl.SSLContext:
    """Create a certificate that was valid for one day in 2020."""
    certificate(folder)
    (folder / "ca.cnf").write_text(AUTHORITY, encoding="ascii")
    (folder / "index.txt").touch()
    request = "req -new -key key.pem -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -out request.pem"
    sign = "ca -selfsign -batch -notext -config ca.cnf -outdir . -keyfile key.pem -in request.pem -out cert.pem"
    days = "-startdate 20200101000000Z -enddate 20200102000000Z"
    for command in (request, f"{sign} {days}"):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_expired_certificate_is_unreachable(tmp_path: Path, expected: Row) -> None:
    """A trusted certificate that expired in 2020."""
    proxy = FaultProxy(PROFILES["loaded"])
    program = Program(SSL_CERT_FILE=str(tmp_path / "cert.pem"))
    async with proxy.listening(expired(tmp_path)), watched(tmp_path, proxy.url, start=program.start) as harness:
        await harness.until_read(expected)


async def test_trusted_certificate_is_accepted(tmp_path: Path, expected: Row) -> None:
    """The daemon trusts its host's certificates, so the other tests fail for their own reasons."""
    proxy = FaultProxy(PROFILES["loaded"])
    program = Program(SSL_CERT_FILE=str(tmp_path / "cert.pem"))
    async with proxy.listening(certificate(tmp_path)), watched(tmp_path, proxy.url, start=program.start) as harness:
        await harness.until_read(expected)
