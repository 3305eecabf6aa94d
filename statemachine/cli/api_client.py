"""Client of the running daemon's HTTP API.

DaemonError
├── DaemonUnavailableError   no answer, or the answer of another program
└── DaemonRefusedError       the daemon answered with an error; `status` is the HTTP status
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from statemachine.cli.answers import require_answer
from statemachine.core.log_entry import LogFilter
from statemachine.core.messages import Message, message
from statemachine.i18n.render import MessageError
from statemachine.settings import Settings
from statemachine.settings.expand import bracketed
from statemachine.settings.masking import Mask
from statemachine.settings.tls import fingerprint

ANSWER_S = 20.0
MAX_ANSWER = 256 * 2**20
"""Bytes. The status of 10,000 servers has some 20 MB."""
CONNECT_S = 5.0
SILENCE_S = 60.0
"""Timeout of a stream; the daemon sends something every 15 s."""
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, never bound

OWN_TOKEN = "COMFYWARM_TOKEN"  # noqa: S105 - the name of an environment variable
"""It holds the caller's own token, where the settings have several."""

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]
MAX_BLOCK = 16 * 1024 * 1024
"""Limit for the bytes of one event, for streams that are not event streams."""


@dataclass(frozen=True, slots=True)
class Block:
    """One event, or a block with only an `id`."""

    id: int | None
    event: str
    data: str


class EventParser:
    """Parse an event stream from chunks with any boundaries."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Block]:
        """Return the blocks that this chunk completes. Raises ValueError if it is not an event stream."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > MAX_BLOCK:
            raise ValueError("not an event stream")
        return [parsed for block in blocks if (parsed := _parse(block.decode("utf-8", "replace"))) is not None]


def _parse(text: str) -> Block | None:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
    number = fields.get("id", "")
    if not fields.keys() & {"id", "data"}:
        return None
    return Block(int(number) if number.isdecimal() else None, fields.get("event", ""), fields.get("data", ""))


class DaemonError(MessageError):
    """The daemon cannot be asked."""


class DaemonUnavailableError(DaemonError):
    """No daemon answers at its address."""


class DaemonRefusedError(DaemonError):
    """The daemon answered with an error."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(Message(f"cli.error.{code}", text=text))
        self.status = status


class DaemonApi:
    """Requests to the daemon at `url`. `mask` hides the token in answers, which may be another program's."""

    def __init__(self, session: aiohttp.ClientSession, url: str, mask: Mask, max_answer: int = MAX_ANSWER) -> None:
        self._max_answer = max_answer
        self._session = session
        self._url = url
        self._mask = mask

    async def get(self, path: str, query: Query = ()) -> Json:
        """Return the JSON object at that path."""
        return await self._json("GET", path, query)

    async def act(self, path: str, action: str, body: Json | None = None) -> Json:
        """Send an operator's action on a server or a group, with the terms of a pause, and return the answer."""
        return await self._json("POST", f"{path}/{action}", body=body or None)

    async def send(self, path: str, body: Json) -> Json:
        """POST a JSON body and return the answer."""
        return await self._json("POST", path, body=body)

    async def blocks(self, since: int, wanted: LogFilter) -> AsyncGenerator[Block, None]:
        """Yield the matching events after that number; the first block has only the number before them.

        Raises DaemonUnavailableError when the stream ends.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        parser = EventParser()
        async with self._exchange(
            "GET", "/api/events", timeout, [("since", str(since)), *filter_query(wanted)]
        ) as response:
            async for chunk in response.content.iter_any():
                for block in parser.feed(chunk):
                    yield block
        raise DaemonUnavailableError(message("cli.stream_ended", url=self._url))

    async def _json(self, method: str, path: str, query: Query = (), body: Json | None = None) -> Json:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
        async with self._exchange(method, path, timeout, query, body) as response:
            answer = orjson.loads(await _body(response, self._max_answer))
        if not isinstance(answer, dict):
            raise DaemonUnavailableError(message("cli.not_comfywarm", url=self._url))
        if method == "GET":
            self._require(partial(require_answer, path, answer))
        return answer

    def _require(self, check: Callable[[], None]) -> None:
        """Raise DaemonUnavailableError if the check finds the answer of another program."""
        try:
            check()
        except ValueError:
            raise DaemonUnavailableError(message("cli.not_comfywarm", url=self._url)) from None

    def _cause(self, error: Exception) -> Message | str:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            return message("cli.refused")
        if isinstance(error, aiohttp.ServerFingerprintMismatch):
            return message("cli.other_certificate")
        return self._mask.text(str(error)) or type(error).__name__

    @asynccontextmanager
    async def _exchange(
        self, method: str, path: str, timeout: aiohttp.ClientTimeout, query: Query, body: Json | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Provide a successful answer. Raises DaemonError, also while the answer is read."""
        data = None if body is None else BytesIO(orjson.dumps(body))
        try:
            async with self._session.request(
                method, self._url + path, params=query, data=data, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status not in (200, 202):
                    raise _error_answer(
                        response.status, self._mask.data(await _body(response, self._max_answer)), self._url
                    )
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DaemonUnavailableError(message("cli.daemon_away", url=self._url, cause=self._cause(error))) from error
        except ValueError as error:
            raise DaemonUnavailableError(message("cli.not_comfywarm", url=self._url)) from error


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body of an answer. Raises ValueError if it is larger than any of a daemon."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError("too large")
    return bytes(body)


@asynccontextmanager
async def daemon_api(settings: Settings) -> AsyncIterator[DaemonApi]:
    """Provide a client for the daemon of these settings."""
    tokens = settings.listen.secrets
    token = _own_token([one.get_secret_value() for one in tokens], os.environ.get(OWN_TOKEN))
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    mask = Mask(tokens)
    connector = aiohttp.TCPConnector(ssl=_certificate(settings))
    async with aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False) as session:
        yield DaemonApi(session, daemon_url(settings), mask)


def _own_token(tokens: Sequence[str], own: str | None) -> str | None:
    """Return the caller's own token if it is one of the settings, else the first of them."""
    return own if own in tokens else next(iter(tokens), None)


def _certificate(settings: Settings) -> aiohttp.Fingerprint | bool:
    """Return the fingerprint of the daemon's certificate, which is trusted under any host name."""
    tls = settings.listen.tls
    return True if tls is None else aiohttp.Fingerprint(fingerprint(tls))


def daemon_url(settings: Settings) -> str:
    """Return the URL of the daemon of these settings, as seen from this machine."""
    if settings.listen.port == 0:
        raise DaemonUnavailableError(message("cli.any_port"))
    host = WILDCARDS.get(settings.listen.host, settings.listen.host)
    return f"{'https' if settings.listen.tls else 'http'}://{bracketed(host)}:{settings.listen.port}"


def server_path(name: str) -> str:
    """Return the API path of a server; its name may contain any character."""
    return f"/api/servers/{quote(name, safe='')}"


def group_path(name: str) -> str:
    """Return the API path of a group."""
    return f"/api/groups/{quote(name, safe='')}"


def filter_query(wanted: LogFilter) -> list[tuple[str, str]]:
    """Return the filter as query parameters of the event log's routes."""
    choices = {
        "server": wanted.servers,
        "group": wanted.groups,
        "state": {state.value for state in wanted.states},
        "reason": wanted.reasons,
    }
    return [(name, value) for name, choice in choices.items() for value in sorted(choice)]


def _error_answer(status: int, body: bytes, url: str) -> DaemonError:
    try:
        error = orjson.loads(body)["error"]
        return DaemonRefusedError(status, str(error["code"]), str(error["message"]))
    except (ValueError, LookupError, TypeError):
        return DaemonUnavailableError(message("cli.not_comfywarm_status", url=url, status=status))
