"""What the handlers read from a request."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from statemachine.gateway.errors import GatewayError, bad_request
from statemachine.gateway.json_text import loads_any

MAX_SMALL_BODY = 1024 * 1024
LARGE_BODY = 1024 * 1024
READ_TIMEOUT_S = 30.0
"""How long a client may send nothing while its request is read."""


_CLIENT: ContextVar[str] = ContextVar("client")


def admit(client: str) -> None:
    """Note which client sent the request that this task handles."""
    _CLIENT.set(client)


def client_of() -> str:
    """Return the name of the client that sent the request that this task handles."""
    return _CLIENT.get()


class Bodies:
    """Reads bodies that may be large: of each client one at a time, so that many of them do not fill the memory."""

    def __init__(self) -> None:
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def read(self, request: web.Request, limit: int) -> AsyncIterator[bytes]:
        """Provide the body until the end of the block. Raises GatewayError as `read_body` does."""
        size = None if hdrs.CONTENT_ENCODING in request.headers else request.content_length
        if size is not None and size <= LARGE_BODY:
            yield await read_body(request, limit)
            return
        async with self._turns[client_of()]:
            yield await read_body(request, limit)


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body. Raises GatewayError for one that is larger, or that does not arrive."""
    body = bytearray()
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    while chunk := await next_chunk(request.content):
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


async def next_chunk(content: Any) -> bytes:
    """Return the next bytes of a body, none at its end."""
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            chunk: bytes = await content.readany()
            return chunk
    except TimeoutError:
        raise GatewayError(HTTPStatus.REQUEST_TIMEOUT, "too_slow", "the request did not arrive in time") from None


async def json_body(request: web.Request, limit: int = MAX_SMALL_BODY) -> dict[str, Any]:
    """Return the JSON object in the body, empty without a body. Raises GatewayError."""
    body = await read_body(request, limit)
    try:
        value = await loads_any(body) if body else {}
    except ValueError:
        raise bad_request("invalid_json", "the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise bad_request("invalid_json", "the body is not a JSON object")
    return value


def too_large(limit: int) -> GatewayError:
    """Return the error of a body above a limit."""
    message = f"the body is larger than {limit // 1024} KiB"
    return GatewayError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", message)
