"""HTTP responses whose framing is bounded: what surrounds bodies may not keep the event loop busy.

aiohttp parses all that was read at once. Interim responses (1xx), empty lines, endless chunk sizes and responses that
nothing has asked for cost time and memory, although no body arrives that could exceed a bound.
"""

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import EMPTY_PAYLOAD
from typing_extensions import override

SLICE = 4 * 1024
"""Bytes that are parsed between two looks at the bounds, unless more of them certainly belong to a body."""

MOST_MESSAGES = 16
"""Responses to one request, interim ones included, that have arrived and are not read yet."""

MOST_FRAMING = 64 * 1024
MOST_PER_BYTE = 16
"""Bytes of framing of one response: so many, and so many for each byte of its body. A chunk of one byte has six."""


class FramingError(aiohttp.ClientConnectionError):
    """The server sends headers, chunk sizes or interim responses without end."""


class BoundedResponses(ResponseHandler):
    """Closes a connection whose framing exceeds the bounds."""

    _received = 0
    _body_before: Any = None
    """The body of an earlier response."""
    _announced = 0
    """Bytes of the body that the response has announced; 0 if it has not."""

    @override
    def set_response_params(self, **params: Any) -> None:
        self._received, self._body_before, self._announced = 0, self._payload, 0
        super().set_response_params(**params)

    @override
    def feed_data(self, data: Any, size: int = 0) -> None:
        message, body = data
        length = message.headers.get(hdrs.CONTENT_LENGTH, "")
        is_plain = body is not EMPTY_PAYLOAD and not message.chunked and not message.compression
        self._announced = int(length) if is_plain and length.isdecimal() else 0
        super().feed_data(data, size)

    @override
    def data_received(self, data: bytes) -> None:
        if self._upgraded:
            super().data_received(data)
            return
        at = 0
        while at < len(data) - SLICE and not self._reading_paused and self.transport is not None:
            size = max(SLICE, self._announced - self._body_size)
            self._parse(data[at : at + size])
            at += size
        if at < len(data) or not data:
            self._parse(data[at:])

    def _parse(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._received += len(data)
        super().data_received(data)
        if not self._upgraded and (len(self._buffer) > MOST_MESSAGES or self._framing > self._most_framing):
            self._reject()

    @property
    def _body_size(self) -> int:
        body = self._payload
        return body.total_bytes if body is not None and body is not self._body_before else 0

    @property
    def _framing(self) -> int:
        return self._received - self._body_size

    @property
    def _most_framing(self) -> int:
        return MOST_FRAMING + MOST_PER_BYTE * self._body_size

    def _reject(self) -> None:
        error, body = FramingError(), self._payload
        if self.transport is not None:
            self.transport.abort()
        self._buffer.clear()
        self.set_exception(error)
        if body is not None:
            body.set_exception(error)


def bounded_connector(**options: Any) -> aiohttp.TCPConnector:
    """Return a connector whose connections have bounded framing."""
    connector = aiohttp.TCPConnector(**options)
    factory: Any = partial(BoundedResponses, loop=asyncio.get_running_loop())
    connector._factory = factory  # noqa: SLF001 - aiohttp has no other way
    return connector
