"""The real network: aiohttp for the checks, websockets for /ws."""

import errno
import re
import ssl
from collections.abc import Callable, Mapping

import aiohttp
import websockets
from aiohttp.http_exceptions import ContentEncodingError
from pydantic import SecretStr
from typing_extensions import override
from websockets.asyncio.client import connect

from statemachine.comfyui.errors import AccessDeniedError, NotAnsweringError, NotUnderstoodError
from statemachine.comfyui.transport import REDIRECTS, ConnectRefusedError, Reply
from statemachine.comfyui.websocket import TextConnection, WebSocket
from statemachine.core.messages import message
from statemachine.settings.masking import Mask

MAX_BODY = 64 * 1024 * 1024
"""Bytes. A queue of hundreds of graphs with inlined images stays below this; more is refused, not read."""

MAX_FRAME = 32 * 1024 * 1024
"""Bytes. Previews are many MB, and websockets closes the connection above its limit (1 MiB by default)."""

PING_EVERY_S = 30.0
PONG_WITHIN_S = 120.0
"""Loading a model can hold the server's GIL for many seconds; 20 s, the default, would cut healthy servers off."""

ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] ")

KEEP_ALIVE_S = 1.0
"""For the questions that follow upon one another. The next check is a minute away, and until then its connection would
take as much memory as the /ws connection, and a descriptor."""

_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
"""OpenSSL's X509_V_ERR codes: self-signed (also in the chain), issuer not found, leaf alone."""


def new_session() -> aiohttp.ClientSession:
    """The HTTP session of a whole fleet. It keeps no cookies and believes no proxy of the environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=KEEP_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class NetworkTransport:
    """The way to one server at `url` (no trailing slash).

    `timeout_s` is asked for each request: a reload may change it. `tls` is for https and wss; None there believes the
    system's authorities. Whatever comes in is freed of the headers' values, so that a server that echoes them betrays
    nothing.
    """

    __slots__ = ("_connection", "_headers", "_mask", "_session", "_timeout_s", "_tls", "_url")

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, SecretStr],
        timeout_s: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        connection: type[TextConnection] = TextConnection,
    ) -> None:
        self._session = session
        self._url = url
        self._headers = {name: value.get_secret_value() for name, value in headers.items()}
        self._timeout_s = timeout_s
        self._tls = tls
        self._connection = connection
        self._mask = Mask(headers.values())

    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """See Transport."""
        timeout_s = self._timeout_s()
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        said = {"Content-Type": "application/json" if body is not None else None, "Accept": accept}
        headers = self._headers | {name: value for name, value in said.items() if value is not None}
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                ssl=self._tls or True,
            ) as response:
                content = await _read_bounded(response)
                location = _clean(response.headers.get("Location", ""))
                return Reply(response.status, self._mask.data(content), self._mask.text(location))
        except TimeoutError as error:
            raise NotAnsweringError(message("no_answer_in", seconds=timeout_s)) from error
        except aiohttp.ClientConnectorDNSError as error:
            raise NotAnsweringError(
                message("name_not_resolved", host=error.host, error=_reason(error.os_error))
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise _connect_error(error.os_error) from error
        except aiohttp.ClientPayloadError as error:
            if isinstance(error.__cause__, ContentEncodingError):
                raise NotUnderstoodError(message("wrong_encoding")) from error
            raise NotAnsweringError(self._said(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotAnsweringError(self._said(error)) from error

    async def connect(self, client_id: str) -> WebSocket:
        """See Transport."""
        url = f"ws{self._url.removeprefix('http')}/ws?clientId={client_id}"
        try:
            connection = await _Connect(
                url,
                create_connection=self._connection,
                additional_headers=self._headers,
                user_agent_header="comfywarm",
                compression=None,
                max_size=MAX_FRAME,
                open_timeout=self._timeout_s(),
                close_timeout=1,
                ping_interval=PING_EVERY_S,
                ping_timeout=PONG_WITHIN_S,
                proxy=None,
                ssl=self._tls,
            )
        except websockets.InvalidStatus as error:
            raise _status_error(error) from error
        except OSError as error:
            raise _connect_error(error) from error
        except (websockets.WebSocketException, ValueError) as error:
            raise NotAnsweringError(self._said(error)) from error
        assert isinstance(connection, TextConnection)  # noqa: S101 - set by create_connection
        _forget_handshake(connection)
        return WebSocket(connection, self._mask)

    def _said(self, error: Exception) -> str:
        """A library's sentence, in which it may quote what the server sent."""
        return self._mask.text(ERROR_NUMBER.sub("", _sentence(error)))


def _forget_handshake(connection: TextConnection) -> None:
    """Its headers take a sixth of a connection's memory."""
    for said in (connection.request, connection.response):
        if said is not None:
            said.headers.clear()


class _Connect(connect):
    """websockets follows redirects, and would take a login page for the server: here a redirect is an answer."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _clean(text: str) -> str:
    """Headers are bytes, which aiohttp keeps as surrogates: those cannot be written anywhere."""
    return text.encode("utf-8", "replace").decode()


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_BODY:
            raise NotUnderstoodError(message("answer_too_large", size=MAX_BODY // 2**20), response.status)
    return bytes(content)


def _connect_error(error: OSError) -> NotAnsweringError:
    """A host with several addresses gives one error for all; it was refused if each of them refused."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = "private_authority" if error.verify_code in _UNKNOWN_AUTHORITY else "certificate_not_trusted"
        return NotAnsweringError(message(code, error=error.verify_message))
    sentence = _sentence(error)
    refusals = sentence.count(f"[Errno {errno.ECONNREFUSED}]")
    if isinstance(error, ConnectionRefusedError) or 0 < refusals == sentence.count("[Errno "):
        return ConnectRefusedError(message("connection_refused"))
    return NotAnsweringError(message("connection_failed", error=_reason(error)))


def _status_error(error: websockets.InvalidStatus) -> Exception:
    status = error.response.status_code
    if status in (401, 403) or status in REDIRECTS:
        return AccessDeniedError(message("ws_denied", status=status))
    return NotAnsweringError(message("ws_status", status=status))


def _reason(error: OSError) -> str:
    """Return the operating system's words, without the error number."""
    return ERROR_NUMBER.sub("", error.strerror or _sentence(error))


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
