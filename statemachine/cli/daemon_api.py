"""The running daemon, asked over its own HTTP API.

DaemonError
├── DaemonAwayError     nobody answers there, or somebody else does
└── DaemonSaidNoError   the daemon answered with an error; `status` is that of HTTP
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from statemachine.cli.sse import Block, Parser
from statemachine.settings import Settings

ANSWER_S = 20.0
CONNECT_S = 5.0
SILENCE_S = 60.0
"""A live stream says something every 15 s; after this long its daemon is gone without a word."""
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, never bound

Json = dict[str, Any]


class DaemonError(Exception):
    """Any of the below. The text is one sentence for people."""


class DaemonAwayError(DaemonError):
    """No daemon answers."""


class DaemonSaidNoError(DaemonError):
    """The daemon's own error answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class DaemonApi:
    """Speaks to the daemon at `url`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def get(self, path: str) -> Json:
        """The JSON object at that path."""
        return await self._json("GET", path)

    async def act(self, server: str, action: str) -> None:
        """Pass an operator's wish on."""
        await self._json("POST", f"{server_path(server)}/{action}")

    async def blocks(self, since: int | None, server: str | None) -> AsyncGenerator[Block, None]:
        """The stream of events after that number; the first block has only the number that it begins after.

        Ends with DaemonAwayError, whoever ended it.
        """
        query = {"since": since, "server": server}
        params = {name: str(value) for name, value in query.items() if value is not None}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        parser = Parser()
        async with self._exchange("GET", "/api/events", timeout, params) as response:
            async for chunk in response.content.iter_any():
                for block in parser.feed(chunk):
                    yield block
        raise DaemonAwayError(f"the daemon at {self._url} ended the stream")

    async def _json(self, method: str, path: str) -> Json:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
        async with self._exchange(method, path, timeout) as response:
            answer = orjson.loads(await response.read())
        if not isinstance(answer, dict):
            raise DaemonAwayError(f"whoever answers at {self._url} is no comfywarm daemon")
        return answer

    @asynccontextmanager
    async def _exchange(
        self, method: str, path: str, timeout: aiohttp.ClientTimeout, params: dict[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with a good status; all that goes wrong, also while it is read, as a DaemonError."""
        try:
            async with self._session.request(
                method, self._url + path, params=params, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status not in (200, 202):
                    raise _said_no(response.status, await response.read(), self._url)
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DaemonAwayError(f"no comfywarm daemon answers at {self._url} ({_cause(error)})") from error
        except ValueError as error:
            raise DaemonAwayError(f"whoever answers at {self._url} is no comfywarm daemon") from error


@asynccontextmanager
async def daemon_api(settings: Settings) -> AsyncIterator[DaemonApi]:
    """The daemon that these settings describe."""
    token = settings.listen.token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
    async with aiohttp.ClientSession(headers=headers, trust_env=False) as session:
        yield DaemonApi(session, daemon_url(settings))


def daemon_url(settings: Settings) -> str:
    """Where the daemon of these settings is found from this machine."""
    if settings.listen.port == 0:
        raise DaemonAwayError("listen.port is 0, any free port: so the daemon cannot be found; set one")
    host = WILDCARDS.get(settings.listen.host, settings.listen.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.listen.port}"


def server_path(name: str) -> str:
    """The API's path of a server; a name may hold any character."""
    return f"/api/servers/{quote(name, safe='')}"


def _said_no(status: int, body: bytes, url: str) -> DaemonError:
    try:
        return DaemonSaidNoError(status, str(orjson.loads(body)["error"]["message"]))
    except (ValueError, LookupError, TypeError):
        return DaemonAwayError(f"whoever answers at {url} is no comfywarm daemon (HTTP {status})")


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__
