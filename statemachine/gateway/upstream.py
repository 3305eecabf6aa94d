"""Requests to the servers. Every answer is bounded, or streamed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from statemachine.comfyui.http_framing import bounded_connector
from statemachine.comfyui.network import TlsContexts
from statemachine.gateway.json_text import loads_any
from statemachine.settings import ServerConfig
from statemachine.version import user_agent

CONNECT_S = 5.0
POST_S = 60.0
"""Time for the answer to a POST /prompt: a server validates a graph while it loads a model."""
SILENCE_S = 60.0
"""Time between two pieces of a streamed answer."""
MAX_ANSWER = 64 * 1024 * 1024
MAX_POST_ANSWER = 4 * 1024 * 1024
READ_BUFFER = 512 * 1024
MAX_FRAME = 32 * 1024 * 1024
PING_S = 240.0
"""aiohttp waits half of it for the pong: a healthy server may be silent for a minute while it loads a model."""


class NotSentError(Exception):
    """The server cannot be reached, so it has not received the request."""


class NoAnswerError(Exception):
    """No usable answer came, but the server may have handled the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its whole body."""

    status: int
    content_type: str
    body: bytes


class Upstream:
    """HTTP and /ws to the servers, with the headers and the certificates of the settings."""

    def __init__(self, session: aiohttp.ClientSession, tls: TlsContexts) -> None:
        self._session = session
        self._tls = tls

    async def post_prompt(self, server: ServerConfig, body: bytes) -> Answer:
        """POST /prompt once. Raises NotSentError or NoAnswerError."""
        return await self._exchange(server, "POST", "/prompt", body, MAX_POST_ANSWER)

    async def post(self, server: ServerConfig, path: str, body: bytes) -> Answer:
        """Send a POST with a JSON body. Raises NotSentError or NoAnswerError."""
        return await self._exchange(server, "POST", path, body, MAX_POST_ANSWER)

    async def upload(self, server: ServerConfig, path: str, form: aiohttp.FormData) -> Answer:
        """Send a form. Raises NotSentError or NoAnswerError."""
        return await self._exchange(server, "POST", path, form, MAX_POST_ANSWER)

    async def json(self, server: ServerConfig, path: str) -> Any:
        """Return the JSON value of a GET. Raises NotSentError or NoAnswerError, also for another status than 200."""
        answer = await self._exchange(server, "GET", path, None, MAX_ANSWER)
        if answer.status != 200:  # noqa: PLR2004
            raise NoAnswerError(f"{server.name} answered {path} with HTTP {answer.status}")
        try:
            return await loads_any(answer.body)
        except ValueError as error:
            raise NoAnswerError(f"{server.name} answered {path} without JSON") from error

    async def history_entry(self, server: ServerConfig, prompt_id: str) -> dict[str, Any] | None:
        """Return the entry of a prompt in the server's history, None without one. Raises as `json` does."""
        answer = await self.json(server, f"/history/{quote(prompt_id, safe='')}")
        entry = answer.get(prompt_id) if isinstance(answer, dict) else None
        return entry if isinstance(entry, dict) else None

    @asynccontextmanager
    async def stream(
        self, server: ServerConfig, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Provide the answer to a GET or HEAD, whose body the caller reads piece by piece as it was sent."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        async with self._session.request(
            method,
            server.url + path,
            params=query,
            headers={**headers, **_headers(server)},
            timeout=timeout,
            allow_redirects=False,
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            ssl=self._tls.context(server) or True,
        ) as response:
            yield response

    async def connect(self, server: ServerConfig, client_id: str) -> aiohttp.ClientWebSocketResponse:
        """Open /ws under this client id. Raises aiohttp.ClientError, OSError or TimeoutError."""
        async with asyncio.timeout(CONNECT_S):
            return await self._session.ws_connect(
                server.url + "/ws",
                params={"clientId": client_id},
                headers=_headers(server),
                heartbeat=PING_S,
                max_msg_size=MAX_FRAME,
                ssl=self._tls.context(server) or True,
            )

    async def _exchange(
        self, server: ServerConfig, method: str, path: str, body: bytes | aiohttp.FormData | None, limit: int
    ) -> Answer:
        headers = _headers(server)
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(total=POST_S, sock_connect=CONNECT_S)
        try:
            async with self._session.request(
                method,
                server.url + path,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                ssl=self._tls.context(server) or True,
            ) as response:
                return Answer(response.status, response.content_type, await _body(response, limit))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSentError(f"{server.name} cannot be reached: {error}") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise NoAnswerError(f"{server.name} did not answer {path}: {str(error) or type(error).__name__}") from error


def is_name(text: str) -> bool:
    """Return whether the text can be one part of a path. `.` and `..` would lead to another route."""
    return bool(text.strip("."))


def new_session() -> aiohttp.ClientSession:
    """Return the HTTP session for all servers. It stores no cookies and ignores proxy environment variables."""
    return aiohttp.ClientSession(
        connector=bounded_connector(limit=0, keepalive_timeout=30.0, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent()},
        trust_env=False,
    )


def _headers(server: ServerConfig) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in server.headers.items()}


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError(f"an answer of more than {limit} bytes")
    return bytes(body)
