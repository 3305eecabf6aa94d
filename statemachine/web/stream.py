"""GET /api/events: Server-Sent Events without gap and without duplicate.

A reader subscribes to the bus first, is then given from the journal what it missed, and then the live messages with a
number above the last one replayed. The journal tells an entry only after committing it, so that whatever was committed
before the replay's last read is in the replay, and whatever came after is in the subscription. A message without a
number (progress, or an entry that the journal could not write) is live only and has no `id`.

A reader that is too slow is cut off; it comes back with its last id and loses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from aiohttp import hdrs, web
from loguru import logger

from statemachine.core.log_entry import LogFilter
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import Subscription
from statemachine.publish.serialize import entry_message
from statemachine.web.log_query import event_number, wanted_events
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError

KEEP_ALIVE_S = 15.0
"""Proxies close a silent connection, often after 60 s."""
WRITE_TIMEOUT_S = 30.0
"""How long a reader may leave its socket full."""
REPLAY_PAGE = 500
MAX_STREAMS = 2_000
RETRY_MS = 2_000
"""How long a browser waits before it comes back."""

Send = Callable[[bytes], Awaitable[None]]


class EventStream:
    """The route's handler, and the owner of all open streams."""

    def __init__(
        self, ports: WebPorts, keep_alive_s: float = KEEP_ALIVE_S, write_timeout_s: float = WRITE_TIMEOUT_S
    ) -> None:
        self._ports = ports
        self._write_timeout_s = write_timeout_s
        self._keep_alive_s = keep_alive_s
        self._pumps: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer with the stream; it ends with the reader, with too slow a reader, or with the daemon."""
        wanted = await wanted_events(request, self._ports)
        since = _wanted_since(request)
        if request.method == hdrs.METH_HEAD:
            return _response()
        if len(self._pumps) >= MAX_STREAMS:
            message = f"{MAX_STREAMS} streams are open already"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_streams", message)
        subscription = self._ports.bus.subscribe(wanted)
        try:
            return await self._stream(request, subscription, wanted, since)
        finally:
            self._ports.bus.unsubscribe(subscription)

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._pumps)

    async def end_all(self, _app: web.Application) -> None:
        """End every stream at once: the daemon stops."""
        for pump in self._pumps:
            pump.cancel()

    async def _stream(
        self, request: web.Request, subscription: Subscription, wanted: LogFilter, since: int | None
    ) -> web.StreamResponse:
        head = await self._ports.journal.read(JournalStore.last_seq)
        # A number above the head is of another journal, and nothing here follows it.
        after = head if since is None else min(since, head)
        response = _response()
        await response.prepare(request)
        send = partial(_send, response, self._write_timeout_s)
        pump = asyncio.create_task(self._pump(send, subscription, wanted, after))
        self._pumps.add(pump)
        try:
            await asyncio.wait({pump})
            _settle(pump, request)
        finally:
            pump.cancel()
            self._pumps.discard(pump)
        return response

    async def _pump(self, send: Send, subscription: Subscription, wanted: LogFilter, after: int) -> None:
        await send(b"retry: %d\nid: %d\n\n" % (RETRY_MS, after))
        after = await self._replay(send, wanted, after)
        while True:
            try:
                async with asyncio.timeout(self._keep_alive_s):
                    messages = await subscription.take()
            except TimeoutError:
                await send(b": keep-alive\n\n")
                continue
            if not messages:
                return
            await send(b"".join(one.frame for one in messages if one.seq is None or one.seq > after))

    async def _replay(self, send: Send, wanted: LogFilter, after: int) -> int:
        """Send what the journal has after that number; the number that it has been read up to."""
        while True:
            query = partial(JournalStore.page_after, after=after, limit=REPLAY_PAGE, wanted=wanted)
            page = await self._ports.journal.read(query)
            await send(b"".join(entry_message(entry).frame for entry in page.entries))
            after = page.reached
            if not page.more:
                return after


def _wanted_since(request: web.Request) -> int | None:
    """The header goes first: a browser repeats the URL it began with, and adds how far it has come."""
    text = request.headers.get("Last-Event-ID") or request.query.get("since")
    return None if text is None else event_number(text, "since", "since (or Last-Event-ID)")


def _response() -> web.StreamResponse:
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return web.StreamResponse(headers=headers)


async def _send(response: web.StreamResponse, timeout_s: float, data: bytes) -> None:
    """Write, and wait while the socket is full; TimeoutError when it stays so."""
    if data:
        async with asyncio.timeout(timeout_s):
            await response.write(data)


def _settle(pump: asyncio.Task[None], request: web.Request) -> None:
    """Say what ended a stream, where that is worth a word. The answer has begun, so no error can be sent."""
    error = None if pump.cancelled() else pump.exception()
    if error is None or isinstance(error, ConnectionError):
        return
    if not isinstance(error, TimeoutError):
        logger.opt(exception=error).error("the stream to {} broke", request.remote)
    if request.transport is not None:
        request.transport.abort()
