"""An address that answers in the format of Prometheus' http_sd."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from statemachine.core.messages import message, one_line, without_error_number
from statemachine.discovery.file_source import from_json
from statemachine.discovery.source import PolledSource, Report, SourceError
from statemachine.discovery.target import Listing
from statemachine.discovery.target_groups import parse_groups
from statemachine.settings.discovery import HttpSource
from statemachine.settings.masking import Mask
from statemachine.settings.problems import os_error_text
from statemachine.settings.tls import client_context
from statemachine.version import user_agent

MAX_BYTES = 16 * 2**20
TIMEOUT_S = 10.0
REFRESH_HEADER = "X-Prometheus-Refresh-Interval-Seconds"


def new_session() -> aiohttp.ClientSession:
    """Return a session without cookies and proxies, which unpacks nothing."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent(), "Accept": "application/json", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    )


class HttpTargets:
    """Asks a URL in intervals. `ca_file` has the certificates for https, in addition to the system's."""

    def __init__(self, settings: HttpSource, ca_file: Path | None) -> None:
        self._settings = settings
        self._ca_file = ca_file

    async def run(self, report: Report) -> None:
        """Report every answer until cancelled. Raises SourceError."""
        encrypted = self._settings.url.get_secret_value().lower().startswith("https:")
        tls = await trusting(self._ca_file) if encrypted else None
        async with new_session() as session:
            await PolledSource(lambda: self._ask(session, tls)).run(report)

    async def _ask(self, session: aiohttp.ClientSession, tls: ssl.SSLContext | None) -> tuple[Listing, float]:
        settings = self._settings
        headers = {REFRESH_HEADER: f"{settings.interval_s:g}"}
        secrets = [settings.url]
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
            secrets.append(settings.token)
        try:
            body = await fetch(session, settings.url.get_secret_value(), headers, tls)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            text = Mask(secrets).text(without_error_number(one_line(str(error)))) or type(error).__name__
            raise SourceError(message("source_no_answer", error=text)) from None
        listing = await asyncio.to_thread(lambda: parse_groups(from_json(body), settings.scheme))
        return listing, settings.interval_s


async def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's CAs and those of the file. Raises SourceError."""
    try:
        return await asyncio.to_thread(client_context, ca_file)
    except OSError as error:
        raise SourceError(message("source_file", path=str(ca_file), error=os_error_text(error).lower())) from None


async def fetch(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
) -> bytes:
    """Return the body of a GET. Raises SourceError for another status or a large body, else aiohttp's errors."""
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            session.get(url, headers=headers, allow_redirects=False, ssl=tls or True) as response,
        ):
            if response.status != 200:  # noqa: PLR2004 - OK
                raise SourceError(message("source_status", status=response.status))
            return await limited_body(response)
    except TimeoutError:
        raise SourceError(message("no_answer_in", seconds=TIMEOUT_S)) from None


async def limited_body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raises SourceError if it is too large."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise SourceError(message("source_too_large", bytes=MAX_BYTES))
    return bytes(body)
