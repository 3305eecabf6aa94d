"""`doctor` on servers whose certificate or scheme is wrong: each cause has its own words."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tests.cli.rig import cli, write_settings
from tests.security.authority import Authority

HOST = "127.0.0.1"
Prepare = Callable[[Path], tuple[ssl.SSLContext | None, Path | None]]
"""Return the server's TLS context, and the CA file that the settings name."""


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Yield the port of a server whose routes are all 404."""
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, ssl_context=tls).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def context_of(authority: trustme.CA, host: str, not_after: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, not_after=not_after).configure_cert(context)
    return context


def untrusted(folder: Path) -> tuple[ssl.SSLContext, None]:
    return Authority(folder).certify(HOST).server_context(), None


def expired(folder: Path) -> tuple[ssl.SSLContext, Path]:
    authority, file = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return context_of(authority, HOST, datetime.now(UTC) - timedelta(days=1)), file


def other_name(folder: Path) -> tuple[ssl.SSLContext, Path]:
    authority = Authority(folder)
    return authority.certify("other.example").server_context(), authority.file


def self_signed(folder: Path) -> tuple[ssl.SSLContext, None]:
    authority, file = trustme.CA(), folder / "own.pem"
    authority.private_key_pem.write_to_path(str(file))
    authority.cert_pem.write_to_path(str(file), append=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, None


def trusted(folder: Path) -> tuple[ssl.SSLContext, Path]:
    authority = Authority(folder)
    return authority.certify(HOST).server_context(), authority.file


def plain(_: Path) -> tuple[None, None]:
    return None, None


@pytest.mark.parametrize(
    ("scheme", "prepare", "expected"),
    [
        ("https", untrusted, ["the certificate is not trusted", '"tls": {"ca_file":']),
        ("https", self_signed, ["it is self-signed", '"tls": {"ca_file":']),
        ("https", expired, ["the certificate has expired", "renew it"]),
        ("https", other_name, ["the certificate is for another name", "use its name in the URL"]),
        ("https", plain, ["the server answers without TLS; use http:// in the URL"]),
        ("http", trusted, ["speaks only https", "use https:// in the URL"]),
        ("http", untrusted, ["speaks only https", "use https:// in the URL"]),
    ],
)
async def test_doctor_names_the_cause_of_a_tls_failure(
    tmp_path: Path, scheme: str, prepare: Prepare, expected: list[str]
) -> None:
    context, ca_file = prepare(tmp_path)
    async with serving(context) as port:
        tls = {} if ca_file is None else {"tls": {"ca_file": str(ca_file)}}
        result = await cli(write_settings(tmp_path, servers=[f"{scheme}://{HOST}:{port}"], **tls), "doctor")
    text = " ".join(result.stdout.split())
    assert result.exit_code == 1
    for part in expected:
        assert part in text
    assert "firewall" not in text


async def test_doctor_name_that_does_not_resolve_has_its_own_advice(tmp_path: Path) -> None:
    result = await cli(write_settings(tmp_path, servers=["http://no-such-host.invalid:8188"]), "doctor")
    assert "correct the host name" in " ".join(result.stdout.split())
    assert "firewall" not in result.stdout
