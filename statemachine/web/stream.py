"""GET /api/events: Server-Sent Events without gaps or duplicates.

A client is subscribed to the bus first, then receives what it missed from the journal, then the live messages with a
higher id than the last replayed one. The journal publishes an entry only after committing it, so every entry is either
in the replay or in the subscription. A message without an id (progress, or an entry that could not be written) is sent
live only. It may be older than the replay, so an entry that is in both is sent again as the view of its server: the
last message on a server always has its state.

While the journal cannot be read, a client that wants no replay receives the live messages, the first block without an
id; others receive an error.

A client that reads too slowly is disconnected. It can reconnect with its last id without losing entries.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from aiohttp import hdrs, web
from loguru import logger

from statemachine.core.log_entry import LogFilter
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.bus import Subscription
from statemachine.publish.serialize import StreamMessage, entry_message, progress_message
from statemachine.web.log import BAD_QUERY, FILTERS, ID_SCHEMA, event_id, requested_filter
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import ErrorSchema

KEEP_ALIVE_S = 15.0
"""Interval of keep-alive comments. Proxies close an idle connection, often after 60 s."""
WRITE_TIMEOUT_S = 30.0
"""Time for which a client may leave its socket full."""
REPLAY_PAGE = 500
MAX_STREAMS = 2_000
RETRY_MS = 2_000
"""Time after which a browser reconnects."""

Send = Callable[[bytes], Awaitable[None]]


class EventStream:
    """Handle GET /api/events, and keep track of all open streams."""

    def __init__(
        self,
        ports: WebPorts,
        keep_alive_s: float = KEEP_ALIVE_S,
        write_timeout_s: float = WRITE_TIMEOUT_S,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._ports = ports
        self._write_timeout_s = write_timeout_s
        self._keep_alive_s = keep_alive_s
        self._max_streams = max_streams
        self._places = 0
        self._senders: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        responses = (
            ApiResponse(200, "Server-Sent Events: transition, progress, notice", media_type="text/event-stream"),
            *BAD_QUERY,
            ApiResponse(503, "The journal cannot be read for a replay, or too many streams are open.", ErrorSchema),
        )
        parameters = (
            Parameter("query", "since", "Replay events with a higher id, then continue live.", schema=ID_SCHEMA),
            *FILTERS,
            Parameter("header", "Last-Event-ID", "Same as `since`, and takes precedence.", schema=ID_SCHEMA),
        )
        return [Route("GET", "/api/events", self.handle, "Stream events", responses, parameters)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send the stream until the client leaves or reads too slowly, or the daemon stops.

        Its place is reserved before anything is awaited, or a burst of requests would exceed the limit.
        """
        if self._places >= self._max_streams:
            message = f"{self._max_streams} streams are already open; close some, or try again later"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_streams", message)
        self._places += 1
        try:
            return await self._serve(request)
        finally:
            self._places -= 1

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        wanted = await requested_filter(request, self._ports)
        since = _requested_since(request)
        if request.method == hdrs.METH_HEAD:
            return _response()
        subscription = self._ports.bus.subscribe(wanted)
        try:
            return await self._stream(request, subscription, wanted, since)
        finally:
            self._ports.bus.unsubscribe(subscription)

    def __len__(self) -> int:
        """Return the number of open streams."""
        return len(self._senders)

    async def end_all(self, _app: web.Application) -> None:
        """End every stream at once, because the daemon stops."""
        for sender in self._senders:
            sender.cancel()

    async def _stream(
        self, request: web.Request, subscription: Subscription, wanted: LogFilter, since: int | None
    ) -> web.StreamResponse:
        after = await self._begin(since)
        response = _response()
        await response.prepare(request)
        send = partial(_send, response, self._write_timeout_s)
        sender = asyncio.create_task(self._send_events(send, subscription, wanted, after))
        self._senders.add(sender)
        try:
            await asyncio.wait({sender})
            _report_end(sender, request)
        finally:
            sender.cancel()
            self._senders.discard(sender)
        return response

    async def _begin(self, since: int | None) -> int | None:
        """Return the id after which the stream begins, None if the journal cannot tell and no replay is wanted.

        An id above the journal's head belongs to another journal; the stream continues from the head.
        """
        try:
            head = await self._ports.journal.file.last_seq()
        except JournalUnavailableError:
            if since is not None:
                raise
            return None
        return head if since is None else min(since, head)

    async def _send_events(self, send: Send, subscription: Subscription, wanted: LogFilter, after: int | None) -> None:
        if after is None:
            await send(b"retry: %d\n\n" % RETRY_MS)
            after = 0
        else:
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
            await send(b"".join(_live_frame(one, after) for one in messages))

    async def _replay(self, send: Send, wanted: LogFilter, after: int) -> int:
        """Send the journal's entries with an id above `after`; return the id up to which it has been read."""
        while True:
            page = await self._ports.journal.file.page_after(after, REPLAY_PAGE, wanted)
            await send(b"".join(entry_message(entry).frame for entry in page.entries))
            after = page.reached
            if not page.more:
                return after


def _live_frame(one: StreamMessage, replayed: int) -> bytes:
    """Return a message's frame; of an entry that was replayed, the frame of the view alone."""
    if one.seq is None or one.seq > replayed:
        return one.frame
    return b"" if one.view is None else progress_message(one.view).frame


def _requested_since(request: web.Request) -> int | None:
    """Prefer the header: a reconnecting browser repeats its first URL and adds the last id that it received."""
    text = request.headers.get("Last-Event-ID") or request.query.get("since")
    return None if text is None else event_id(text, "since", "since (or Last-Event-ID)")


def _response() -> web.StreamResponse:
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return web.StreamResponse(headers=headers)


async def _send(response: web.StreamResponse, timeout_s: float, data: bytes) -> None:
    """Write the data and wait while the socket is full; raise TimeoutError if it stays full."""
    if data:
        async with asyncio.timeout(timeout_s):
            await response.write(data)


def _report_end(sender: asyncio.Task[None], request: web.Request) -> None:
    """Log an unexpected end of a stream. The response has begun, so no error can be sent."""
    error = None if sender.cancelled() else sender.exception()
    if error is None or isinstance(error, ConnectionError):
        return
    if not isinstance(error, TimeoutError):
        logger.opt(exception=error).error("the event stream to {} failed", request.remote)
    if request.transport is not None:
        request.transport.abort()
