"""The Transport over real connections: aiohttp for HTTP, websockets for /ws."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import websockets
from pydantic import SecretStr
from typing_extensions import override
from websockets.asyncio.client import connect

from statemachine.comfyui.bodies import BodyReader
from statemachine.comfyui.body_encodings import ACCEPT_ENCODING
from statemachine.comfyui.bounds import bound_of
from statemachine.comfyui.connect_errors import HttpsOnly, connect_error, one_line, reason_of
from statemachine.comfyui.errors import NotAnsweringError, NotUnderstoodError
from statemachine.comfyui.framed_connection import MAX_MESSAGE
from statemachine.comfyui.handshake import handshake_error
from statemachine.comfyui.http_framing import FramingError, bounded_connector
from statemachine.comfyui.large_answers import LargeAnswers
from statemachine.comfyui.response_headers import retry_after_s
from statemachine.comfyui.transport import Reply, Transport
from statemachine.comfyui.turns import Turns
from statemachine.comfyui.websocket import TextConnection, WebSocket
from statemachine.core.messages import message, without_error_number
from statemachine.settings import ServerConfig
from statemachine.settings.masking import Mask
from statemachine.settings.tls import client_context
from statemachine.version import user_agent

PING_INTERVAL_S = 30.0
PONG_TIMEOUT_S = 120.0
"""A healthy server may hold its GIL for many seconds while it loads a model. The library's default is 20 s."""

CLOSE_TIMEOUT_S = 1.0
"""Time for the closing handshake, which a server that hangs never answers."""

KEEP_ALIVE_S = 1.0
"""Enough for consecutive requests. The next check is a minute away, and an idle connection needs a file descriptor and
as much memory as the /ws connection."""

DNS_CACHE_S = 60
"""A server's new address is used after at most this time."""

MASKED_AT_ONCE = 8 * 1024
"""Bytes of a body that are searched for secrets on the event loop, for at most 10 ms."""

_NO_TIMEOUT = aiohttp.ClientTimeout()
"""Its timers do not cover the wait of a large answer; one around the whole request does."""


def new_session(requests: int = 0, *, keep_alive: bool = True) -> aiohttp.ClientSession:
    """Return the HTTP session for all servers. It stores no cookies and ignores proxy environment variables.

    At most `requests` are sent at a time; 0 means any number.
    """
    reuse: dict[str, Any] = {"keepalive_timeout": KEEP_ALIVE_S} if keep_alive else {"force_close": True}
    connector = bounded_connector(limit=requests, ttl_dns_cache=DNS_CACHE_S, **reuse)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent(), "Accept-Encoding": ACCEPT_ENCODING},
        trust_env=False,
    )


class NetworkTransport(Transport):
    """Connections to one server at `url`, which has no trailing slash.

    `timeout_s` is called for each request, because a reload may change the setting. `tls` is the context for https and
    wss; None uses the system's certificate authorities. The values of `headers` and the `secrets` are masked in all
    received text, in case a server echoes them. `large` is shared by all servers.
    """

    __slots__ = (
        "_connection",
        "_headers",
        "_https_only",
        "_large",
        "_mask",
        "_session",
        "_timeout_s",
        "_tls",
        "_turns",
        "_url",
    )

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, SecretStr],
        timeout_s: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        connection: type[TextConnection] = TextConnection,
        secrets: Iterable[SecretStr] = (),
        large: LargeAnswers | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._session = session
        self._url = url
        self._https_only = HttpsOnly(url)
        self._headers = {name: value.get_secret_value() for name, value in headers.items()}
        self._timeout_s = timeout_s
        self._tls = tls
        self._connection = connection
        self._large = large or LargeAnswers()
        self._turns = turns
        self._mask = Mask([*headers.values(), *secrets])

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        timeout_s = self._timeout_s()
        more = {"Content-Type": "application/json" if body is not None else None, "Accept": accept}
        headers = self._headers | {name: value for name, value in more.items() if value is not None}
        route = self._mask.text(f"{method} {path.partition('?')[0]}")
        reader = BodyReader(route, bound_of(method, path), self._mask)
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method,
                    self._url + path,
                    data=body,
                    headers=headers,
                    timeout=_NO_TIMEOUT,
                    allow_redirects=False,
                    auto_decompress=False,
                    ssl=self._tls or True,
                ) as response,
            ):
                answer = await reader.read(response, self._large)
        except TimeoutError as error:
            if reader.waits:
                raise NotUnderstoodError(message("large_answers_waiting", route=route)) from error
            raise NotAnsweringError(message("no_answer_in", seconds=timeout_s)) from error
        except FramingError as error:
            raise NotAnsweringError(message("answer_only_framing")) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise NotAnsweringError(
                message("name_not_resolved", host=error.host, error=reason_of(error.os_error))
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise connect_error(error.os_error) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise await self._broken_off(error) from error
        self._https_only.answered()
        answer = await self._masked_body(answer, is_cut=reader.is_cut)
        return self._reply(self._url + path, response.status, response.headers, answer)

    @override
    async def connect(self, client_id: str) -> WebSocket:
        url = f"ws{self._url.removeprefix('http')}/ws?clientId={client_id}"
        new_connection: Any = partial(self._connection, turns=self._turns)
        try:
            connection = await _Connect(
                url,
                create_connection=new_connection,
                additional_headers=self._headers,
                user_agent_header=user_agent(),
                compression=None,
                max_size=MAX_MESSAGE,
                open_timeout=self._timeout_s(),
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=PING_INTERVAL_S,
                ping_timeout=PONG_TIMEOUT_S,
                proxy=None,
                ssl=self._tls,
            )
        except websockets.InvalidStatus as error:
            response = error.response
            content = self._mask.data(bytes(response.body or b""), is_cut=True)
            reply = self._reply(url, response.status_code, response.headers, content)
            raise handshake_error(reply) from error
        except ConnectionResetError as error:
            raise await self._broken_off(error) from error
        except OSError as error:
            raise connect_error(error) from error
        except (websockets.WebSocketException, ValueError) as error:
            raise await self._broken_off(error) from error
        assert isinstance(connection, TextConnection)  # noqa: S101 - set by create_connection
        _drop_handshake_headers(connection)
        return WebSocket(connection, self._mask)

    def _reply(self, url: str, status: int, headers: "_Headers", body: bytes) -> Reply:
        """Return the reply with the values of the configured headers masked, as they are in the body."""
        challenges = ", ".join(_all(headers, "WWW-Authenticate") + _all(headers, "Proxy-Authenticate"))
        wait = ", ".join(_all(headers, "Retry-After")[:1])
        date = ", ".join(_all(headers, "Date")[:1])
        return Reply(
            status,
            body,
            self._mask.text(", ".join(_all(headers, "Location")[:1])),
            self._mask.text(challenges),
            retry_after_s(wait, date, datetime.now(UTC)) if wait else None,
            url,
        )

    async def _masked_body(self, body: bytes, *, is_cut: bool) -> bytes:
        """Return the body without secrets. A large one, which may be full of escapes, is searched in a thread."""
        if not self._mask or len(body) <= MASKED_AT_ONCE:
            return self._mask.data(body, is_cut=is_cut)
        return await self._large.in_thread(partial(self._mask.data, body, is_cut=is_cut))

    async def _broken_off(self, error: Exception) -> NotAnsweringError:
        """Return the error for a connection that was opened and ended before an answer."""
        if await self._https_only.explains(error, self._timeout_s()):
            return NotAnsweringError(message("https_only"))
        return NotAnsweringError(self._masked(error))

    def _masked(self, error: Exception) -> str:
        """Return the text of a library's exception, which may quote what the server has sent."""
        return self._mask.text(without_error_number(one_line(error)))


def _drop_handshake_headers(connection: TextConnection) -> None:
    """Free the headers of request and response, a sixth of a connection's memory."""
    for part in (connection.request, connection.response):
        if part is not None:
            part.headers.clear()


class _Connect(connect):
    """A connection attempt that does not follow redirects, which would lead to a login page instead of the server."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Headers(Protocol):
    """The headers of aiohttp or of websockets."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def _all(headers: _Headers, name: str) -> list[str]:
    """Return the values of a header, in order."""
    return [_encodable(value) for given, value in headers.items() if given.lower() == name.lower()]


def _encodable(text: str) -> str:
    """Replace the surrogates that aiohttp decodes non-ASCII header bytes to, because they cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


class TlsContexts:
    """One TLS context for each CA file, shared by the connections of all servers."""

    def __init__(self) -> None:
        self._contexts: dict[Path | None, ssl.SSLContext] = {}

    def load(self, servers: Iterable[ServerConfig]) -> None:
        """Read the CA files of these servers, also files that were read before. Blocks. Raises OSError."""
        for ca_file in {server.tls.ca_file for server in servers if _is_encrypted(server)}:
            self._read(ca_file)

    def trust(self, ca_files: Iterable[Path]) -> None:
        """Read these CA files, also ones that were read before. Blocks. Raises OSError."""
        for ca_file in ca_files:
            self._read(ca_file)

    def renew(self, servers: Iterable[ServerConfig]) -> None:
        """Read the CA files of these servers again. One that cannot be read now stays trusted as it was. Blocks.

        Raises OSError if one was never read.
        """
        for ca_file in {server.tls.ca_file for server in servers if _is_encrypted(server)}:
            try:
                self._read(ca_file)
            except OSError:
                if ca_file not in self._contexts:
                    raise

    def context(self, server: ServerConfig) -> ssl.SSLContext | None:
        """Return the context for a server that was loaded, None if its URL is plain http."""
        return self._contexts[server.tls.ca_file] if _is_encrypted(server) else None

    def _read(self, ca_file: Path | None) -> None:
        known = self._contexts.get(ca_file)
        if known is None:
            self._contexts[ca_file] = client_context(ca_file)
        elif ca_file is not None:
            known.load_verify_locations(ca_file)


def tls_contexts(servers: Iterable[ServerConfig]) -> TlsContexts:
    """Return the TLS contexts of these servers. Blocks. Raises OSError."""
    contexts = TlsContexts()
    contexts.load(servers)
    return contexts


def _is_encrypted(server: ServerConfig) -> bool:
    return server.url.startswith("https:")
