"""Why a connection could not be opened, by the operating system's or OpenSSL's error."""

import asyncio
import errno
import ssl
from urllib.parse import urlsplit

import aiohttp
import websockets

from statemachine.comfyui.errors import ConnectRefusedError, NotAnsweringError
from statemachine.core.messages import Message, message, without_error_number

_CERTIFICATE_CODES = {
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    18: "certificate_self_signed",
    19: "private_authority",
    20: "private_authority",
    21: "private_authority",
    62: "certificate_wrong_name",
    64: "certificate_wrong_name",
}
"""OpenSSL's X509_V_ERR codes: dates, self-signed (also in the chain), issuer not found, chain of one certificate, and
another host name or IP address."""

PLAIN_ANSWERS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"})
"""OpenSSL's reasons if the other end does not speak TLS; the word depends on OpenSSL's version."""


def connect_error(error: OSError) -> NotAnsweringError:
    """Return the error for a failed connection.

    asyncio raises one error for all addresses of a host. The connection was refused if every address refused it.
    """
    if isinstance(error, ssl.SSLError):
        return NotAnsweringError(_tls_message(error))
    text = one_line(error)
    refusals = text.count(f"[Errno {errno.ECONNREFUSED}]")
    if isinstance(error, ConnectionRefusedError) or 0 < refusals == text.count("[Errno "):
        return ConnectRefusedError(message("connection_refused"))
    return NotAnsweringError(message("connection_failed", error=reason_of(error)))


def _tls_message(error: ssl.SSLError) -> Message:
    if isinstance(error, ssl.SSLCertVerificationError):
        code = _CERTIFICATE_CODES.get(error.verify_code, "certificate_not_trusted")
        return message(code, error=error.verify_message)
    if error.reason in PLAIN_ANSWERS:
        return message("plain_http")
    return message("connection_failed", error=reason_of(error))


def reason_of(error: OSError) -> str:
    """Return the operating system's text without the error number."""
    return without_error_number(error.strerror or one_line(error))


def one_line(error: BaseException) -> str:
    """Return the error's text on one line, or its class's name."""
    return " ".join(str(error).split()) or type(error).__name__


PROBE_S = 2.0
"""Time for a TLS handshake that only explains a failure."""


class HttpsOnly:
    """Whether the server at an http URL speaks TLS. It is asked once, until the server answers again."""

    __slots__ = ("_found", "_url")

    def __init__(self, url: str) -> None:
        self._url = url
        self._found: bool | None = None if url.startswith("http:") else False

    def answered(self) -> None:
        """Forget what was found, because the server has answered by http."""
        self._found = None if self._url.startswith("http:") else False

    async def explains(self, error: Exception, timeout_s: float) -> bool:
        """Return whether TLS is why a connection ended before an answer."""
        if not _is_silent_end(error):
            return False
        if self._found is None:
            self._found = await speaks_tls(self._url, min(timeout_s, PROBE_S))
        return self._found


def _is_silent_end(error: Exception) -> bool:
    """Return whether the server closed a connection without a byte."""
    if isinstance(error, websockets.InvalidMessage):
        return isinstance(error.__cause__, EOFError)
    return isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError)


async def speaks_tls(url: str, timeout_s: float) -> bool:
    """Return whether the server of an http URL answers a TLS handshake. Nothing else is sent."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            context = ssl.create_default_context()
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, ssl=context)
    except ssl.SSLError as error:
        return error.reason not in PLAIN_ANSWERS
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
