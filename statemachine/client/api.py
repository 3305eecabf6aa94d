"""Requests to the running daemon's HTTP API, and its event stream as blocks."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from statemachine.client.answers import require_answer
from statemachine.client.errors import DaemonError, DaemonUnavailableError, TokenError, refused
from statemachine.core.messages import Message, message
from statemachine.settings.masking import Mask

MAX_BLOCK = 16 * 1024 * 1024
"""Limit for the bytes of one event, for streams that are not event streams."""

ANSWER_S = 20.0
MAX_ANSWER = 256 * 2**20
"""Bytes. The status of 10,000 servers has some 20 MB."""
CONNECT_S = 5.0
SILENCE_S = 60.0
"""Timeout of a stream; the daemon sends something every 15 s."""

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]
Names = str | Collection[str]
"""One name or several."""


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


class DaemonApi:
    """Requests to the daemon at `url`. `mask` hides the token in answers, which may be another program's."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        mask: Mask,
        *,
        max_answer: int = MAX_ANSWER,
        timeout_s: float = ANSWER_S,
        has_settings: bool = True,
    ) -> None:
        self._max_answer = max_answer
        self._session = session
        self._url = url
        self._mask = mask
        self._timeout_s = timeout_s
        self._has_settings = has_settings

    async def get(self, path: str, query: Query = ()) -> Json:
        """Return the JSON object at that path."""
        return await self._json("GET", path, query)

    async def act(self, path: str, action: str, body: Json | None = None) -> Json:
        """Send an operator's action on a server or a group, with the terms of a pause, and return the answer."""
        return await self._json("POST", f"{path}/{action}", body=body or None)

    async def send(self, path: str, body: Json) -> Json:
        """POST a JSON body and return the answer."""
        return await self._json("POST", path, body=body)

    async def blocks(self, since: int | None, query: Query = ()) -> AsyncGenerator[Block, None]:
        """Yield the matching events after that number; the first block has only the number before them.

        Raises DaemonUnavailableError when the stream ends.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        parser = EventParser()
        start = [] if since is None else [("since", str(since))]
        async with self._exchange("GET", "/api/events", timeout, [*start, *query]) as response:
            async for chunk in response.content.iter_any():
                for block in parser.feed(chunk):
                    yield block
        raise DaemonUnavailableError(message("cli.stream_ended", url=self._url))

    async def _json(self, method: str, path: str, query: Query = (), body: Json | None = None) -> Json:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=min(CONNECT_S, self._timeout_s))
        async with self._exchange(method, path, timeout, query, body) as response:
            answer = orjson.loads(await _body(response, self._max_answer))
        if not isinstance(answer, dict):
            raise self.not_comfywarm()
        self._require(partial(require_answer, method, path, answer))
        return answer

    def _require(self, check: Callable[[], None]) -> None:
        """Raise DaemonUnavailableError if the check finds the answer of another program."""
        try:
            check()
        except ValueError:
            raise self.not_comfywarm() from None

    def not_comfywarm(self) -> DaemonUnavailableError:
        """Return the error for an answer that only another program can give."""
        return DaemonUnavailableError(message("cli.not_comfywarm", url=self._url))

    def _away(self, error: Exception) -> DaemonUnavailableError:
        what = message("cli.daemon_away", url=self._url, cause=self._cause(error))
        is_certificate = isinstance(error, aiohttp.ServerFingerprintMismatch | aiohttp.ClientConnectorCertificateError)
        return DaemonUnavailableError(
            what, None if is_certificate else message("client.start_it" if self._has_settings else "client.set_url")
        )

    def _cause(self, error: Exception) -> Message | str:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
            return message("cli.refused")
        if isinstance(error, aiohttp.ServerFingerprintMismatch):
            return message("cli.other_certificate")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return message("client.untrusted_certificate")
        if isinstance(error, TimeoutError):
            return message("client.no_answer_in_time")
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
                    raise self._error_answer(response.status, await _body(response, self._max_answer))
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._away(error) from error
        except ValueError as error:
            raise self.not_comfywarm() from error

    def _error_answer(self, status: int, body: bytes) -> DaemonError:
        try:
            error = orjson.loads(self._mask.data(body))["error"]
            answer = refused(status, str(error["code"]), str(error["message"]))
        except (ValueError, LookupError, TypeError):
            return DaemonUnavailableError(message("cli.not_comfywarm_status", url=self._url, status=status))
        if answer.code == "token_required" and not self._has_settings:
            return TokenError(status, answer.code, message("client.token_refused"))
        return answer


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body of an answer. Raises ValueError if it is larger than any of a daemon."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError("too large")
    return bytes(body)


def server_path(name: str) -> str:
    """Return the API path of a server; its name may contain any character."""
    return f"/api/servers/{quote(name, safe='')}"


def group_path(name: str) -> str:
    """Return the API path of a group."""
    return f"/api/groups/{quote(name, safe='')}"


def filter_query(server: Names = (), group: Names = (), state: Names = (), reason: Names = ()) -> list[tuple[str, str]]:
    """Return the filter as query parameters of the event log's routes."""
    choices = {"server": server, "group": group, "state": state, "reason": reason}
    return [(name, value) for name, given in choices.items() for value in sorted(as_names(given))]


def as_names(given: Names) -> Collection[str]:
    """Return one or several names as a collection."""
    return (given,) if isinstance(given, str) else given
