"""The page and the API over https, and the command line, which trusts only the daemon's own certificate."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from statemachine.daemon.app import running_daemon
from statemachine.settings import load_settings
from statemachine.settings.tls import ListenTls, load_pair, page_context
from statemachine.simulator import PROFILES, running_fleet
from tests.cli.rig import cli, write_settings
from tests.faults.proxy import FaultProxy
from tests.security.authority import Authority, Pair
from tests.support.daemon import command


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def listen_with(pair: Pair, port: int = 0, **keys: Any) -> dict[str, Any]:
    """Return the `listen` section. Its paths are relative to the settings file."""
    return {"port": port, "tls": {"certificate": pair.certificate.name, "key": pair.key.name}, **keys}


@asynccontextmanager
async def daemon(folder: Path, pair: Pair) -> AsyncIterator[str]:
    """Run a daemon over one loaded server. Yield its address; the settings file names its port."""
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        common = {"servers": fleet.urls, "data_dir": str(folder / "data"), "logging": {"file": None}}
        settings = load_settings(write_settings(folder, listen=listen_with(pair), **common), {})
        async with running_daemon(settings) as running:
            port = int(running.address.rpartition(":")[2])
            write_settings(folder, listen=listen_with(pair, port), **common)
            yield running.address


def client_context(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(file))


async def test_page_with_certificate_is_served_over_https(tmp_path: Path, authority: Authority) -> None:
    async with daemon(tmp_path, authority.certify("127.0.0.1")) as address, aiohttp.ClientSession() as session:
        assert address.startswith("https://127.0.0.1:")
        async with session.get(f"{address}/status", ssl=client_context(authority.file)) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{address}/status")


async def test_cli_ignores_host_name_in_daemon_certificate(tmp_path: Path, authority: Authority) -> None:
    async with daemon(tmp_path, authority.certify("warm.example.org")):
        settings = tmp_path / "settings.json"
        ended = await cli(settings, "status")
        assert "127.0.0.1" in ended.stdout, ended.stderr
        assert (await cli(settings, "tail", "-n", "1", "--json")).stdout.startswith("{")


async def test_cli_sends_no_token_to_another_certificate(tmp_path: Path, authority: Authority) -> None:
    """The other server has a certificate for the same address, from another authority."""
    requests: list[str] = []

    async def record(request: web.Request) -> web.Response:
        requests.append(request.path)
        return web.json_response({})

    own, other = authority.certify("127.0.0.1"), Authority(tmp_path, "other").certify("127.0.0.1")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=other.server_context()).start()
    listen = listen_with(own, runner.addresses[0][1], token="a-long-token")
    async with command(write_settings(tmp_path, listen=listen), "status") as process:
        _, stderr = await process.communicate()
    await runner.cleanup()
    assert process.returncode == 1
    assert b"certificate is not that of listen.tls.certificate" in stderr
    assert requests == []


def test_load_pair_with_wrong_key_keeps_old_certificate(authority: Authority) -> None:
    old, new = authority.certify("127.0.0.1"), authority.certify("localhost")
    context = page_context(ListenTls(certificate=old.certificate, key=old.key))
    with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
        load_pair(context, ListenTls(certificate=new.certificate, key=old.key))
    assert presented_name(context, authority) == "127.0.0.1"


def test_load_pair_renews_certificate_for_new_connections(authority: Authority) -> None:
    old, new = authority.certify("127.0.0.1"), authority.certify("localhost")
    context = page_context(ListenTls(certificate=old.certificate, key=old.key))
    assert presented_name(context, authority) == "127.0.0.1"
    load_pair(context, ListenTls(certificate=new.certificate, key=new.key))
    assert presented_name(context, authority) == "localhost"


def presented_name(context: ssl.SSLContext, authority: Authority) -> str:
    """Return the name in the certificate that a client receives, by a handshake in memory."""
    trusted = client_context(authority.file)
    trusted.check_hostname = False
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = trusted.wrap_bio(down, up), context.wrap_bio(up, down, server_side=True)
    for side in (client, server, client):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    certificate: Any = client.getpeercert()
    return str(certificate["subjectAltName"][0][1])


def test_page_context_requires_tls_1_2(authority: Authority) -> None:
    pair = authority.certify("127.0.0.1")
    context = page_context(ListenTls(certificate=pair.certificate, key=pair.key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


async def check_and_doctor(tmp_path: Path, **settings: Any) -> list[tuple[int, str]]:
    """Run `check` and `doctor` over one loaded server behind TLS. Return their exit codes and output."""

    proxy = FaultProxy(PROFILES["loaded"])
    async with proxy.listening(Authority(tmp_path).certify("127.0.0.1").server_context()):
        path = write_settings(tmp_path, servers=[proxy.url], **settings)
        ended = [await cli(path, command) for command in ("check", "doctor")]
    return [(one.exit_code, one.stdout) for one in ended]


async def test_check_and_doctor_with_ca_file_succeed(tmp_path: Path) -> None:
    ended = await check_and_doctor(tmp_path, tls={"ca_file": "private-ca.pem"})
    assert [code for code, _ in ended] == [0, 0], ended


async def test_check_and_doctor_without_ca_file_name_the_reason(tmp_path: Path) -> None:
    for code, text in await check_and_doctor(tmp_path):
        assert code == 1
        assert "the certificate is not trusted" in text
