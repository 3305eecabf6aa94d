"""GET /api/log, and the query parameters that it shares with the event stream."""

from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from statemachine.core.log_entry import REASON_CODES, STATE_NAMES, LogEntry, LogFilter
from statemachine.core.vocabulary import State
from statemachine.publish.serialize import Json, log_entry
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response, quoted, unknown_group, unknown_server
from statemachine.web.route import JOURNAL_UNAVAILABLE, ApiResponse, Parameter, Route
from statemachine.web.schemas import ErrorSchema, LogSchema

DEFAULT_LIMIT = 200
MAX_LIMIT = 1_000
MAX_READS = 400
"""Reads of the journal for one response; after that, the response says where to continue."""

_MAX_ID_DIGITS = 18
MAX_ID = 10**_MAX_ID_DIGITS - 1

MAX_SEARCH = 200
"""Characters of a search."""

ID_SCHEMA: Json = {"type": "integer", "minimum": 0, "maximum": MAX_ID}


def _repeated(items: Json) -> Json:
    return {"type": "array", "items": items}


FILTERS = (
    Parameter("query", "server", "Only events of these servers.", schema=_repeated({"type": "string"})),
    Parameter("query", "group", "Only events of these groups.", schema=_repeated({"type": "string"})),
    Parameter(
        "query",
        "state",
        "Only transitions to these states, and progress of servers in these states.",
        schema=_repeated({"enum": list(STATE_NAMES)}),
    ),
    Parameter(
        "query",
        "reason",
        "Only events with these reason codes, and progress of servers in a state with these reason codes.",
        schema=_repeated({"enum": list(REASON_CODES)}),
    ),
)
"""Filters of events. Each may be repeated; an event must match every kind of filter that is given."""

BAD_QUERY = (
    ApiResponse(400, "Invalid id, state or reason.", ErrorSchema),
    ApiResponse(404, "The server or the group does not exist.", ErrorSchema),
)


class LogHandler:
    """Handle GET /api/log: the event log from the journal, newest first, page by page."""

    def __init__(self, ports: WebPorts, max_reads: int = MAX_READS) -> None:
        self._ports = ports
        self._max_reads = max_reads

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        parameters = (
            Parameter("query", "limit", "Maximum number of entries.", schema=limits),
            Parameter(
                "query", "before", "Only entries with a lower id; pass `next` of the previous page.", schema=ID_SCHEMA
            ),
            Parameter("query", "since", "Only entries with a higher id.", schema=ID_SCHEMA),
            *FILTERS,
            Parameter(
                "query",
                "q",
                "Only entries whose server or group has each of these words in its name.",
                schema={"type": "string", "maxLength": MAX_SEARCH},
            ),
        )
        entries = ApiResponse(200, "Entries, newest first", LogSchema)
        responses = (entries, *BAD_QUERY, JOURNAL_UNAVAILABLE)
        return [Route("GET", "/api/log", self.handle, "Get the event log", responses, parameters)]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /api/log."""
        limit = _limit(request)
        before = event_id(request.query.get("before", str(MAX_ID)), "before")
        since = event_id(request.query.get("since", "0"), "since")
        wanted = replace(await requested_filter(request, self._ports), words=_words(request))
        entries, rest = await self._newest(before, since, limit, wanted)
        return json_response({"entries": [log_entry(entry) for entry in entries], "next": rest})

    async def _newest(
        self, before: int, since: int, limit: int, wanted: LogFilter
    ) -> tuple[list[LogEntry], int | None]:
        """Return entries, and the id before which there may be more. Read one too many to find out."""
        entries: list[LogEntry] = []
        for _ in range(self._max_reads):
            missing = limit + 1 - len(entries)
            page = await self._ports.journal.file.page_before(before, missing, wanted, after=since)
            entries += page.entries
            before = page.reached
            if len(entries) > limit:
                return entries[:limit], entries[limit - 1].seq
            if not page.more:
                return entries, None
        return entries, before


async def requested_filter(request: web.Request, ports: WebPorts) -> LogFilter:
    """Return the filter in the query; raise ApiError if a server, group, state or reason does not exist."""
    states = _allowed_values(request, "state", STATE_NAMES)
    reasons = _allowed_values(request, "reason", REASON_CODES)
    servers, groups = frozenset(request.query.getall("server", ())), frozenset(request.query.getall("group", ()))
    for group in sorted(groups - {view.group for view in ports.snapshot}):
        raise unknown_group(ports.snapshot, group)
    for name in sorted(servers):
        await _check_server(name, ports)
    return LogFilter(servers, groups, frozenset(map(State, states)), frozenset(reasons))


def _words(request: web.Request) -> frozenset[str]:
    """Return the words of `q` in lower case; raise ApiError if they are too long."""
    text = request.query.get("q", "")
    if len(text) > MAX_SEARCH:
        message = f"invalid q {quoted(text)}; pass at most {MAX_SEARCH} characters"
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_q", message)
    return frozenset(text.lower().split())


async def _check_server(name: str, ports: WebPorts) -> None:
    """Raise ApiError for a server that neither the fleet nor the journal knows; a removed one still has a history."""
    known = ports.snapshot.get(name) is not None or await ports.journal.file.has_server(name)
    if not known:
        raise unknown_server(name)


def _allowed_values(request: web.Request, name: str, allowed: tuple[str, ...]) -> list[str]:
    values = request.query.getall(name, [])
    for value in values:
        if value not in allowed:
            message = f"unknown {name} {quoted(value)}; available: {', '.join(allowed)}"
            raise ApiError(HTTPStatus.BAD_REQUEST, f"invalid_{name}", message)
    return values


def event_id(text: str, name: str, label: str = "") -> int:
    """Return the event id in a parameter; raise ApiError, which names it by `label`, if it is not one."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_ID_DIGITS):
        message = f"invalid {label or name} {quoted(text)}; pass the id of an event, 0 or more"
        raise ApiError(HTTPStatus.BAD_REQUEST, f"invalid_{name}", message)
    return int(text)


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    message = f"invalid limit {quoted(text)}; pass a number from 1 to {MAX_LIMIT}"
    raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_limit", message)
