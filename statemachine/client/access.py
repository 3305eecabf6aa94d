"""Where a daemon is, and what it takes to be allowed to ask it."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from statemachine.client.api import ANSWER_S, DaemonApi
from statemachine.client.errors import DaemonError, DaemonUnavailableError
from statemachine.core.messages import message, without_error_number
from statemachine.settings import Settings
from statemachine.settings.expand import bracketed
from statemachine.settings.masking import Mask
from statemachine.settings.running_port import running_port
from statemachine.settings.tls import fingerprint

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, never bound

DEFAULT_URL = "http://127.0.0.1:8799"
OWN_URL = "COMFYWARM_URL"
OWN_TOKEN = "COMFYWARM_TOKEN"  # noqa: S105 - the name of an environment variable
"""Environment variables with the daemon's address and the caller's own token."""


@dataclass(frozen=True, slots=True)
class Access:
    """The daemon's address, the caller's token, and the certificate that is trusted under any host name.

    `secrets` are masked in answers. `timeout_s` limits each answer.
    """

    url: str
    token: str | None
    secrets: Sequence[SecretStr]
    certificate: Path | None = None
    timeout_s: float = ANSWER_S
    has_settings: bool = True


def access_of_settings(settings: Settings, timeout_s: float = ANSWER_S) -> Access:
    """Return the access to the daemon of these settings: with COMFYWARM_TOKEN if it is set, else their first token."""
    tokens = settings.listen.secrets
    token = os.environ.get(OWN_TOKEN) or next((one.get_secret_value() for one in settings.listen.reading), None)
    tls = settings.listen.tls
    secrets = tokens if token is None else [*tokens, SecretStr(token)]
    return Access(daemon_url(settings), token, secrets, None if tls is None else tls.certificate, timeout_s)


def access_to(url: str | None, token: str | None, certificate: Path | None, timeout_s: float) -> Access:
    """Return the access to the daemon at that address. COMFYWARM_URL and COMFYWARM_TOKEN replace what is None."""
    own = token if token is not None else os.environ.get(OWN_TOKEN) or None
    address = url if url is not None else os.environ.get(OWN_URL) or DEFAULT_URL
    secrets = [] if own is None else [SecretStr(own)]
    return Access(_checked(address), own, secrets, certificate, timeout_s, has_settings=False)


@asynccontextmanager
async def open_api(access: Access) -> AsyncIterator[DaemonApi]:
    """Provide a client for the daemon."""
    headers = {"Authorization": f"Bearer {access.token}"} if access.token is not None else {}
    connector = aiohttp.TCPConnector(ssl=_trusted(access.certificate))
    async with aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False) as session:
        mask = Mask(access.secrets)
        yield DaemonApi(session, access.url, mask, timeout_s=access.timeout_s, has_settings=access.has_settings)


@asynccontextmanager
async def daemon_api(settings: Settings) -> AsyncIterator[DaemonApi]:
    """Provide a client for the daemon of these settings."""
    async with open_api(access_of_settings(settings)) as api:
        yield api


def daemon_url(settings: Settings) -> str:
    """Return the URL of the daemon of these settings, as seen from this machine."""
    port = running_port(settings.data_dir) or settings.listen.port
    if port == 0:
        raise DaemonUnavailableError(message("cli.any_port", folder=str(settings.data_dir)))
    host = WILDCARDS.get(settings.listen.host, settings.listen.host)
    return f"{'https' if settings.listen.tls else 'http'}://{bracketed(host)}:{port}"


def _trusted(certificate: Path | None) -> aiohttp.Fingerprint | bool:
    if certificate is None:
        return True
    try:
        return aiohttp.Fingerprint(fingerprint(certificate))
    except (OSError, ValueError) as error:
        cause = without_error_number(str(error))
        raise DaemonError(message("client.certificate", path=str(certificate), error=cause)) from error


def _checked(url: str) -> str:
    """Return the address without a slash at its end. Errors do not quote one with a login, which is a secret."""
    if "@" in url:
        raise DaemonError(message("client.login_in_url"))
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "?" in url or "#" in url or not url.isprintable() or " " in url:
        raise DaemonError(message("client.not_a_url", url=url))
    return url.rstrip("/")
