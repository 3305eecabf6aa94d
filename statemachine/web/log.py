"""GET /api/log: the event log from the journal, newest first, page by page."""

from functools import partial
from http import HTTPStatus

from aiohttp import web

from statemachine.core.log_entry import LogEntry, LogFilter
from statemachine.journal.store import JournalStore
from statemachine.publish.serialize import log_entry
from statemachine.web.log_query import HIGHEST_NUMBER, event_number, wanted_events
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response

DEFAULT_LIMIT = 200
MAX_LIMIT = 1_000
MAX_READS = 400
"""Of the journal for one answer: after so many an answer that has found little says where to go on."""


class Log:
    """The route's handler."""

    def __init__(self, ports: WebPorts, max_reads: int = MAX_READS) -> None:
        self._ports = ports
        self._max_reads = max_reads

    async def handle(self, request: web.Request) -> web.Response:
        """GET /api/log"""
        limit = _limit(request)
        before = event_number(request.query.get("before", str(HIGHEST_NUMBER)), "before")
        since = event_number(request.query.get("since", "0"), "since")
        wanted = await wanted_events(request, self._ports)
        entries, rest = await self._newest(before, since, limit, wanted)
        return json_response({"entries": [log_entry(entry) for entry in entries], "next": rest})

    async def _newest(
        self, before: int, since: int, limit: int, wanted: LogFilter
    ) -> tuple[list[LogEntry], int | None]:
        """The entries, and the number before which there may be more: one too many is read to know whether there is."""
        entries: list[LogEntry] = []
        for _ in range(self._max_reads):
            missing = limit + 1 - len(entries)
            query = partial(JournalStore.page_before, before=before, limit=missing, wanted=wanted, after=since)
            page = await self._ports.journal.read(query)
            entries += page.entries
            before = page.reached
            if len(entries) > limit:
                return entries[:limit], entries[limit - 1].seq
            if not page.more:
                return entries, None
        return entries, before


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    message = f"limit must be a number from 1 to {MAX_LIMIT}, not {text[:50]!r}"
    raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_limit", message)
